"""HTML pages in one file, with plots and players."""
