//! Target names -> where to call.
