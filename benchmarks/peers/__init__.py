"""How each library trains a model that is given in its own words; one file a library."""
