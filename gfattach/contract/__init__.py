"""The environment contract: what an environment asks for, whether it may, and how one is made.

docs/contract.md explains it. Classification is pure: it reads nothing but what it is given.
"""
