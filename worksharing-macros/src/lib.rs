//! The attribute of the crate `worksharing`, which re-exports it and documents it.
//!
//! How it is made: `args` reads the options and `work_fn` the function, `validate` judges both,
//! `expand` writes the function anew. After any mistake `fallback` emits the function as it was, so
//! that one mistake is one error.

mod args;
mod borrows;
mod boxed;
mod contradictions;
mod detachable;
mod duration;
mod each;
mod expand;
mod fallback;
mod hints;
mod ids;
mod in_task;
mod key_parts;
mod krate;
mod mistakes;
mod output;
mod placeholder;
#[cfg(test)]
mod properties;
mod skip;
mod task;
mod template;
#[cfg(test)]
mod tests;
mod validate;
mod value;
mod work_fn;

use proc_macro2::TokenStream;

use crate::args::Args;
use crate::mistakes::Mistakes;
use crate::work_fn::WorkFn;

// Documented where it is re-exported, so that its examples run.
#[allow(missing_docs)]
#[proc_macro_attribute]
pub fn work_shared(
    options: proc_macro::TokenStream,
    item: proc_macro::TokenStream,
) -> proc_macro::TokenStream {
    work_shared_impl(options.into(), item.into()).into()
}

fn work_shared_impl(options: TokenStream, item: TokenStream) -> TokenStream {
    let mut mistakes = Mistakes::default();
    let args = Args::parse(options, &mut mistakes);
    let Some(mut function) = WorkFn::parse(item.clone(), &mut mistakes) else {
        return fallback::emit(mistakes, item);
    };
    // Of an id that could not be read, nothing is to be said where it is named.
    if args.is_each_unreadable {
        return fallback::emit(mistakes, item);
    }
    function.of_each = args
        .each
        .iter()
        .flat_map(|each| each.bound.clone())
        .collect();
    let checked = validate::validate(&args, &function, &mut mistakes);
    if mistakes.any() {
        return fallback::emit(mistakes, item);
    }
    expand::expand(&args, &function, &checked)
}
