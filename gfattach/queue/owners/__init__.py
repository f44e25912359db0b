"""Which repositories can get a runner at all: two gates and the labels they ask for, from dated evidence."""
