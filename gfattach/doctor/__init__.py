"""`doctor`: a diagnosis of everything, which writes nothing; its verdict, its notes, its page."""
