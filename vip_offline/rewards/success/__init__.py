"""Success from goal pictures: a threshold with an unsure band on a frozen embedding's distance."""
