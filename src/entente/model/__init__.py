"""Networks: tensors in, tensors out; nothing here knows what a sentence is."""
