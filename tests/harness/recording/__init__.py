"""Recording of an example for each code, from whatever findings and errors the tests come to.

`pytest --record-codes` has every process of the tests write down what it makes; at the end one example a
code is kept in `gfattach/codes/examples.json`, with nothing of this machine in it. Examples that are
there already stay, unless their code is gone.
"""
