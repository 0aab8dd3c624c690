"""Generator of the training text: chats in the exact prompt format, written by a program from a
seed.
"""
