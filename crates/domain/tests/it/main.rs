//! Rules held against a second, naive telling of them.

mod decision;
