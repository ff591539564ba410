"""Statistics without a model: quantiles and the like."""
