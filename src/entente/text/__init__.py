"""Text: corpora, cleaning, the grammar, subwords, encoded ids and batches."""
