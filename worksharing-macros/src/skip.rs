//! The option `skip`.

use proc_macro2::Ident;
use syn::ext::IdentExt as _;

use crate::args::Args;
use crate::hints;
use crate::key_parts::named;
use crate::mistakes::Mistakes;
use crate::template::Template;
use crate::value::SKIP;
use crate::work_fn::{Param, WorkFn};

/// Whether what is skipped is there to be skipped.
pub(crate) fn check_skipped(args: &Args, function: &WorkFn, mistakes: &mut Mistakes) {
    if let (Some(span), [], None) = (args.skip_span, &*args.skip, &args.key) {
        mistakes.at(span, SKIP);
    }
    for (at, name) in args.skip.iter().enumerate() {
        if args.skip[..at].contains(name) {
            mistakes.at(
                name.span(),
                format!("`{name}` is skipped twice: remove one of them"),
            );
        } else if !function.params.iter().any(|param| param.binds(name)) {
            let arguments: Vec<String> = function
                .params
                .iter()
                .flat_map(Param::bindings)
                .map(ToString::to_string)
                .collect();
            let guess = hints::closest(&name.to_string(), arguments.iter().map(String::as_str));
            let end = match guess {
                Some(meant) => format!("did you mean `{meant}`?"),
                None if arguments.is_empty() => "the function has none".into(),
                None => format!("the arguments are {}", hints::list(&arguments)),
            };
            mistakes.at(
                name.span(),
                format!("there is no argument `{name}` to skip: {end}"),
            );
        }
    }
}

/// Beside a template, `skip` says that nothing else is left out: an argument that is added later is not
/// silently no part of the key. A body does not look at `_unused`.
pub(crate) fn check_left_out(
    args: &Args,
    function: &WorkFn,
    template: &Template,
    mistakes: &mut Mistakes,
) {
    if args.skip_span.is_none() || mistakes.any() {
        return;
    }
    // Of all ids, `each` shows them one by one.
    let each = args.each.iter().map(|each| each.ids.clone());
    let shown: Vec<_> = template.values().flat_map(named).chain(each).collect();
    let forced: Vec<_> = args.force_refresh.iter().flat_map(named).collect();
    for name in function.params.iter().flat_map(Param::bindings) {
        let is_in = |names: &[Ident]| names.iter().any(|other| other.unraw() == name.unraw());
        let skipped = args.skip.iter().find(|other| other.unraw() == name.unraw());
        match skipped {
            Some(skipped) if is_in(&shown) => {
                let message = format!("`{name}` is part of the key: remove it here, or there");
                mistakes.at(skipped.span(), message);
            }
            None if !is_in(&shown) && !is_in(&forced) && !name.to_string().starts_with('_') => {
                let message = format!(
                    "`{name}` is neither part of the key nor skipped: name it in the template, or \
                     write `skip(…, {name})`"
                );
                mistakes.at(name.span(), message);
            }
            _ => {}
        }
    }
}
