//! The server itself, as the real client sees it.

mod reads;
