"""A synchronous grammar: the English sentence alone determines the French one."""

from entente.text.grammar.expansion import Expansion, write_corpus

__all__ = ["Expansion", "write_corpus"]
