"""The daily work with one command each: quick, extended, benchmark, warm-up, samples, regression, profile, doctor."""
