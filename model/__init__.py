"""From audio to vectors and text.

In reading order: ``audio`` (file to ``Clip``), with ``source`` (opening safely), ``decoders``
(libsndfile), ``container`` (FFmpeg's libraries), ``framing`` (how long a stream really is)
and ``stretch`` (limits, mixing, checks); ``isolated`` and ``decode_worker`` (the same in processes
that may be ended); ``durable`` (flushing, replacing in one piece) and ``digests`` (whether files
are what they were); ``prompt`` (what a language model is asked),
``protocols`` (what an embedder and a language model are), ``registry`` (names to either),
``device``; ``logmel`` (the baseline), ``tiny`` (the shipped default); ``mel`` (log-mel front
ends), ``htsat`` (the encoder in both CLAPs), ``htsat_cpu`` (the same, for CPUs), ``parallel``
(a batch shared out among cores), ``precision`` (whether weights bear bfloat16), ``unfilled``
(modules without their weights yet), ``clap``, ``clap_front_end``, ``clap_towers``,
``clap_tokenizer``, ``clap_checkpoint``, ``clap_convert`` and ``hub`` (LAION-CLAP); ``msclap``,
``flamingo_audio``, ``flamingo_config``, ``flamingo``, ``flamingo_masks``, ``tokenizer``,
``flamingo_prompt``, ``generate`` and ``flamingo_lm`` (Audio Flamingo); ``flamingo_names``,
``flamingo_checkpoint``, ``flamingo_writer``, ``flamingo_folder``, ``pull`` and ``download``
(its weights);
``scripted`` (a language model for tests).
"""
