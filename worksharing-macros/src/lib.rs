//! The attribute of the crate `worksharing`, which re-exports it and documents it.

use proc_macro::TokenStream;

/// Shares an expensive function's result among all its callers.
#[proc_macro_attribute]
pub fn work_shared(_options: TokenStream, item: TokenStream) -> TokenStream {
    item
}
