use proc_macro2::TokenStream;

use crate::mistakes::Mistakes;

/// The mistakes, and the item as it was written: its callers then find it, and nothing else breaks.
pub(crate) fn emit(mistakes: Mistakes, item: TokenStream) -> TokenStream {
    let mut output = item;
    output.extend(mistakes.into_compile_errors());
    output
}
