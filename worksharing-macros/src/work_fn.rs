use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream, TokenTree};
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::spanned::Spanned as _;
use syn::visit::Visit;
use syn::{Attribute, FnArg, GenericParam, Pat, PatIdent, ReturnType, Signature, Type, Visibility};

use crate::boxed::Boxed;
use crate::mistakes::Mistakes;

/// The annotated function.
pub(crate) struct WorkFn {
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    pub(crate) sig: Signature,
    /// Not parsed: whatever it holds is passed on, and the compiler judges it.
    pub(crate) body: Group,
    pub(crate) params: Vec<Param>,
    /// What the option `each` binds, for one id at a time.
    pub(crate) of_each: Vec<Ident>,
    /// Set where the function is not `async`, but returns a boxed async block.
    pub(crate) boxed: Option<Boxed>,
}

/// An argument of the function.
pub(crate) struct Param {
    pub(crate) form: Form,
    pub(crate) span: Span,
}

pub(crate) enum Form {
    Receiver(Ident),
    Named(Ident),
    /// `_`, or a pattern that binds these.
    Pattern(Vec<Ident>),
}

impl WorkFn {
    /// The function, or `None` and a mistake.
    pub(crate) fn parse(item: TokenStream, mistakes: &mut Mistakes) -> Option<Self> {
        let parse = |input: ParseStream<'_>| {
            let attrs = input.call(Attribute::parse_outer)?;
            let vis = input.parse()?;
            let sig: Signature = input.parse()?;
            Ok((attrs, vis, sig, ungrouped(input.parse()?)))
        };
        match parse.parse2(item.clone()) {
            Ok((attrs, vis, sig, TokenTree::Group(body)))
                if body.delimiter() == Delimiter::Brace =>
            {
                let params = sig.inputs.iter().map(Param::of).collect();
                let boxed = Boxed::of(&sig, &body);
                Some(Self {
                    attrs,
                    vis,
                    sig,
                    body,
                    params,
                    of_each: Vec::new(),
                    boxed,
                })
            }
            Ok((.., end)) => {
                mistakes.at(
                    end.span(),
                    "a function without a body cannot be shared: \
                     write `#[work_shared]` on the methods of the `impl`, or give it a body",
                );
                None
            }
            Err(error) => {
                mistakes.add(not_a_function(item).unwrap_or(error));
                None
            }
        }
    }

    /// Whether it is driven by an executor.
    pub(crate) fn is_async(&self) -> bool {
        self.sig.asyncness.is_some() || self.boxed.is_some()
    }

    /// The type that the body returns.
    pub(crate) fn output(&self) -> Option<&Type> {
        match (&self.boxed, &self.sig.output) {
            (Some(boxed), _) => Some(&boxed.output),
            (None, ReturnType::Type(_, ty)) => Some(ty),
            (None, ReturnType::Default) => None,
        }
    }

    /// Everything in the signature that a key can name, without `self`.
    pub(crate) fn variables(&self) -> impl Iterator<Item = &Ident> {
        let consts = self
            .sig
            .generics
            .params
            .iter()
            .filter_map(|param| match param {
                GenericParam::Const(param) => Some(&param.ident),
                _ => None,
            });
        self.params
            .iter()
            .filter(|param| !param.is_receiver())
            .flat_map(Param::bindings)
            .chain(&self.of_each)
            .chain(consts)
    }

    pub(crate) fn receiver(&self) -> Option<&Ident> {
        self.params.iter().find_map(|param| match &param.form {
            Form::Receiver(this) => Some(this),
            _ => None,
        })
    }
}

impl Param {
    fn of(input: &FnArg) -> Self {
        let form = match input {
            FnArg::Receiver(receiver) => {
                Form::Receiver(Ident::new("self", receiver.self_token.span))
            }
            FnArg::Typed(arg) => match &*arg.pat {
                Pat::Ident(PatIdent {
                    by_ref: None,
                    subpat: None,
                    ident,
                    ..
                }) => Form::Named(ident.clone()),
                pattern => Form::Pattern(bindings_of(pattern)),
            },
        };
        let span = match input {
            FnArg::Receiver(receiver) => receiver.self_token.span,
            FnArg::Typed(arg) => arg.pat.span(),
        };
        Self { form, span }
    }

    pub(crate) fn is_receiver(&self) -> bool {
        matches!(self.form, Form::Receiver(_))
    }

    /// The variables that it brings into the body.
    pub(crate) fn bindings(&self) -> &[Ident] {
        match &self.form {
            Form::Receiver(ident) | Form::Named(ident) => std::slice::from_ref(ident),
            Form::Pattern(bindings) => bindings,
        }
    }

    pub(crate) fn binds(&self, name: &Ident) -> bool {
        self.bindings()
            .iter()
            .any(|binding| binding.unraw() == name.unraw())
    }
}

fn bindings_of(pattern: &Pat) -> Vec<Ident> {
    struct Bindings(Vec<Ident>);
    impl<'ast> Visit<'ast> for Bindings {
        fn visit_pat_ident(&mut self, pattern: &'ast PatIdent) {
            self.0.push(pattern.ident.clone());
            syn::visit::visit_pat_ident(self, pattern);
        }
    }
    let mut bindings = Bindings(Vec::new());
    bindings.visit_pat(pattern);
    bindings.0
}

/// A `$body:block` of a macro by example comes in an invisible group.
fn ungrouped(token: TokenTree) -> TokenTree {
    match token {
        TokenTree::Group(group) if group.delimiter() == Delimiter::None => {
            let mut inside = group.stream().into_iter();
            match (inside.next(), inside.next()) {
                (Some(token), None) => ungrouped(token),
                _ => TokenTree::Group(group),
            }
        }
        token => token,
    }
}

/// If the item is something else than a function: what to do about it.
fn not_a_function(item: TokenStream) -> Option<syn::Error> {
    for token in item {
        let TokenTree::Ident(word) = token else {
            continue;
        };
        let advice = match word.to_string().as_str() {
            "fn" => return None,
            "impl" | "trait" => "write it on the methods inside",
            "struct" | "enum" | "union" | "type" | "mod" | "use" | "static" | "let"
            | "macro_rules" => "write it on the function that computes the value",
            _ => continue,
        };
        let message = format!("`#[work_shared]` goes on a function, not on `{word}`: {advice}");
        return Some(syn::Error::new(word.span(), message));
    }
    None
}
