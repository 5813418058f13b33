//! What the expansion of `#[work_shared]` calls. Not public: it changes with the macro crate.
