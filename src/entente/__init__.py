"""Entente: train, take apart and trust a translation Transformer (English to French)."""
