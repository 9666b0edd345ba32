//! What the globals of the standard library and numpy mean.
