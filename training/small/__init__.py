"""Training of ``earful-small``: everything in closed form, from a folder of labelled clips."""
