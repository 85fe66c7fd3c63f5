//! Mulot.
