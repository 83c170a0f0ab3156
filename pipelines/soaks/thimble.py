"""What makes a thimble of the default configuration."""

THIMBLE = [
    "corpus.download.pairs=1500",
    "corpus.download.val=40",
    "corpus.download.test=30",
    "corpus.download.compositional=20",
    "corpus.download.longer=20",
    "corpus.download.probes=4",
    "subwords.vocabulary=700",
    "model.width=16",
    "model.hidden=16",
    "model.heads=2",
    "model.encoder_layers=1",
    "model.decoder_layers=1",
    "training.validation.sentences=20",
    "trainer=smoke",
    "evaluation.sentences=[The cat sleeps.]",
    "evaluation.dissection.sentences=5",
    "evaluation.dissection.probes=1",
    "training.log_every=2",
    "tracking.system_metrics_every_seconds=0.1",  # a thimble trains in under a second
]
