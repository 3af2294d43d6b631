//! The operations that cost the time of text-to-image models, fast on CPUs.
//!
//! | question | answer |
//! |---|---|

