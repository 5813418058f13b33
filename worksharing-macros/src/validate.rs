use proc_macro2::{Ident, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::visit::Visit;
use syn::{Attribute, Expr, FnArg, GenericArgument, Path, PathArguments, Signature, Type};

use crate::args::{Args, KeyForm, Rule, Ttl};
use crate::hints;
use crate::mistakes::Mistakes;
use crate::template::Template;
use crate::work_fn::{Param, WorkFn, boxed_output, future_output};

/// Where the characteristic string comes from, checked.
pub(crate) enum Key<'a> {
    Template(Template),
    Expr(&'a Expr),
    /// By these arguments, counted in the signature.
    Default(Vec<usize>),
}

/// Judges the function and the options together. All mistakes are told of at once.
pub(crate) fn validate<'a>(args: &'a Args, function: &WorkFn, mistakes: &mut Mistakes) -> Key<'a> {
    check_modifiers(&function.sig, mistakes);
    check_output(function, mistakes);
    check_clashes(args, mistakes);
    check_closures(args, mistakes);
    check_skipped(args, function, mistakes);
    check_handle(args, function, mistakes);
    match &args.key {
        Some(KeyForm::Template(literal)) => {
            Key::Template(Template::parse(literal, function, mistakes))
        }
        Some(KeyForm::Expr(expr)) => Key::Expr(expr),
        None => Key::Default(key_parts(args, function, mistakes)),
    }
}

fn check_modifiers(sig: &Signature, mistakes: &mut Mistakes) {
    if let Some(word) = &sig.constness {
        mistakes.on(
            word,
            "a `const fn` cannot be shared, for sharing happens at run time: remove `const`",
        );
    }
    if let syn::Safety::Unsafe(word) = &sig.safety {
        let message = "an `unsafe fn` cannot be shared, for callers would not reach its body: \
                       write a safe function around it";
        mistakes.on(word, message);
    }
    if let Some(abi) = &sig.abi {
        let message =
            "an `extern` function cannot be shared: write a plain `fn`, and call it from this one";
        mistakes.on(abi, message);
    }
    if let Some(variadic) = &sig.variadic {
        mistakes.on(
            variadic,
            "a variadic function cannot be shared: write its arguments one by one",
        );
    }
}

fn check_output(function: &WorkFn, mistakes: &mut Mistakes) {
    let Some(output) = function.output() else {
        let name = &function.sig.ident;
        let message =
            format!("`{name}` returns nothing to share: write `-> T`, or remove `#[work_shared]`");
        return mistakes.at(name.span(), message);
    };
    if boxed_output(output).is_some() {
        let message = "a boxed future cannot be shared, only what it gives: write `async fn`";
        return mistakes.on(output, message);
    }
    check_shared(output, mistakes);
}

/// Refuses what can be seen not to be storable. The rest is left to the bounds of the value.
fn check_shared(ty: &Type, mistakes: &mut Mistakes) {
    match ty {
        Type::Group(group) => check_shared(&group.elem, mistakes),
        Type::Paren(paren) => check_shared(&paren.elem, mistakes),
        Type::Tuple(tuple) if tuple.elems.is_empty() => {
            mistakes.on(
                ty,
                "`()` is nothing to share: return a value, or remove `#[work_shared]`",
            );
        }
        Type::Never(_) => mistakes.on(ty, "this function never returns: remove `#[work_shared]`"),
        Type::ImplTrait(opaque) => {
            let message = match future_output(opaque.bounds.iter()) {
                Some(_) => "a future cannot be shared, only what it gives: write `async fn`",
                None => {
                    "an `impl Trait` cannot be shared: write the type that is returned, \
                         like `Vec<u32>` for `impl Iterator<Item = u32>`"
                }
            };
            mistakes.on(ty, message);
        }
        _ => check_owned(ty, mistakes),
    }
}

/// Refuses borrowed values, wherever they stand in the type.
fn check_owned(ty: &Type, mistakes: &mut Mistakes) {
    match ty {
        Type::Group(group) => check_owned(&group.elem, mistakes),
        Type::Paren(paren) => check_owned(&paren.elem, mistakes),
        Type::Array(array) => check_owned(&array.elem, mistakes),
        Type::Tuple(tuple) => tuple
            .elems
            .iter()
            .for_each(|elem| check_owned(elem, mistakes)),
        Type::Reference(reference) => mistakes.on(ty, borrowed(&reference.elem)),
        Type::Path(path) => check_path(&path.path, mistakes),
        _ => {}
    }
}

fn check_path(path: &Path, mistakes: &mut Mistakes) {
    let Some(last) = path.segments.last() else {
        return;
    };
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return;
    };
    let types = arguments.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    });
    // An error is not shared, so it may borrow.
    let is_result = last.ident == "Result" || arguments.args.len() > 1;
    let shared = types.clone().take(if is_result { 1 } else { usize::MAX });
    let borrows = arguments.args.iter().any(
        |argument| matches!(argument, GenericArgument::Lifetime(lifetime) if lifetime.ident != "static"),
    );
    if borrows && (last.ident == "Cow" || types.count() == 0) {
        let owned = if last.ident == "Cow" {
            "`String`"
        } else {
            "an owned type"
        };
        return mistakes.on(
            path,
            format!("a borrowed value cannot be shared: return {owned}"),
        );
    }
    shared.for_each(|ty| check_owned(ty, mistakes));
}

fn borrowed(referenced: &Type) -> String {
    let owned = match referenced {
        Type::Path(path) if path.path.is_ident("str") => "String".to_owned(),
        Type::Slice(slice) => format!("Vec<{}>", slice.elem.to_token_stream()),
        Type::TraitObject(_) => {
            return "a borrowed value cannot be shared: return an owned type".into();
        }
        other => other.to_token_stream().to_string().replace(' ', ""),
    };
    format!("a borrowed value cannot be shared: return `{owned}`")
}

fn check_clashes(args: &Args, mistakes: &mut Mistakes) {
    let skips = [(args.skip_span, "skip"), (args.skip_all, "skip_all")];
    if args.key.is_some() {
        for (span, name) in skips {
            if let Some(span) = span {
                let message = format!(
                    "`{name}` is about the default key, and `key` replaces that: remove one of them"
                );
                mistakes.at(span, message);
            }
        }
    } else if let (Some(_), Some(span)) = (args.skip_span, args.skip_all) {
        mistakes.at(
            span,
            "`skip_all` leaves out what `skip` names, too: remove one of them",
        );
    }
}

fn check_closures(args: &Args, mistakes: &mut Mistakes) {
    let ttl = match &args.ttl {
        Some(Ttl::Closure(rule)) => Some((rule, "ttl = |value| …")),
        _ => None,
    };
    let cache_if = args
        .cache_if
        .as_ref()
        .map(|rule| (rule, "cache_if = |value| …"));
    for (rule, example) in ttl.into_iter().chain(cache_if) {
        match rule {
            Rule::Closure(closure) if closure.inputs.len() != 1 => {
                let message = format!(
                    "the closure takes the computed value, and nothing else: write `{example}`"
                );
                mistakes.at(closure.span(), message);
            }
            Rule::Closure(closure) if closure.asyncness.is_some() => {
                mistakes.on(
                    closure.asyncness,
                    format!("the closure cannot be async: write `{example}`"),
                );
            }
            Rule::Function(Expr::Lit(literal)) => {
                mistakes.on(
                    literal,
                    format!("this is asked of the computed value: write `{example}`"),
                );
            }
            _ => {}
        }
    }
}

fn check_skipped(args: &Args, function: &WorkFn, mistakes: &mut Mistakes) {
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

fn check_handle(args: &Args, function: &WorkFn, mistakes: &mut Mistakes) {
    let Some(handle) = &args.handle else { return };
    let span = handle.ident.span();
    if handle.ident.unraw() == function.sig.ident.unraw() {
        let message = format!(
            "the handle needs a name of its own: write `handle = {}_call`",
            handle.ident.unraw()
        );
        mistakes.at(span, message);
    }
    if let Some(cfg) = function.sig.inputs.iter().find_map(cfg_of) {
        mistakes.on(
            cfg,
            "a function with a handle has the same arguments always: remove this `#[cfg]`",
        );
    }
    if function.boxed.is_some() {
        mistakes.at(
            span,
            "a method of a trait has no handle: write it on a free function or an inherent method",
        );
    }
}

/// The arguments of the default key.
fn key_parts(args: &Args, function: &WorkFn, mistakes: &mut Mistakes) -> Vec<usize> {
    if args.skip_all.is_some() {
        return Vec::new();
    }
    let forced = args.force_refresh.as_ref().map(named).unwrap_or_default();
    let is_forced = |param: &Param| forced.iter().any(|name| param.binds(name));
    let is_skipped = |param: &Param| args.skip.iter().any(|name| param.binds(name));
    let mut parts = Vec::new();
    for (at, param) in function.params.iter().enumerate() {
        if is_skipped(param) {
            continue;
        }
        // Left out silently, two receivers would share; kept, the refresh would have a key of its own.
        if param.is_receiver() && is_forced(param) {
            let message = "`force_refresh` names `self`, and the default key holds all of it: \
                           write `key = \"…\"` with the parts that tell two receivers apart";
            let this = args
                .force_refresh
                .as_ref()
                .map_or(param.span, |expr| expr.span());
            mistakes.at(this, message);
        } else if !is_forced(param) {
            if let Some(cfg) = cfg_of(&function.sig.inputs[at]) {
                let message = "an argument that may be missing cannot be part of the default key: \
                               leave it out with `skip(…)`, or write `key = \"…\"`";
                mistakes.on(cfg, message);
            }
            parts.push(at);
        }
    }
    parts
}

fn cfg_of(input: &FnArg) -> Option<&Attribute> {
    let attrs = match input {
        FnArg::Receiver(receiver) => &receiver.attrs,
        FnArg::Typed(arg) => &arg.attrs,
    };
    attrs.iter().find(|attr| attr.path().is_ident("cfg"))
}

/// The variables that an expression names. What a macro in it names is seen, too.
fn named(expr: &Expr) -> Vec<Ident> {
    struct Variables(Vec<Ident>);
    impl<'ast> Visit<'ast> for Variables {
        fn visit_path(&mut self, path: &'ast Path) {
            self.0.extend(path.get_ident().cloned());
            syn::visit::visit_path(self, path);
        }
        fn visit_macro(&mut self, call: &'ast syn::Macro) {
            identifiers(call.tokens.clone(), &mut self.0);
        }
    }
    let mut variables = Variables(Vec::new());
    variables.visit_expr(expr);
    variables.0
}

fn identifiers(tokens: TokenStream, found: &mut Vec<Ident>) {
    for token in tokens {
        match token {
            TokenTree::Ident(ident) => found.push(ident),
            TokenTree::Group(group) => identifiers(group.stream(), found),
            _ => {}
        }
    }
}
