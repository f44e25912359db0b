"""Objects of the Actions Runner Controller (ARC), group `actions.github.com/v1alpha1`, as facts.

Read are the fields that charts 0.9.3 to 0.14.2 and the unreleased head have, `state` and `phase` alike. What
is no field here is not kept: a list takes the memory of what is asked of it.
"""
