//! Which arguments the task of a detached computation takes along.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::ext::IdentExt as _;
use syn::visit_mut::VisitMut;
use syn::{FnArg, Pat, PatIdent, ReceiverKind, Token, Type};

use crate::args::{Args, Rule, ShareErr, Time, Ttl};
use crate::borrows::is_static;
use crate::work_fn::{Form, WorkFn};

/// An argument, or a part of one, that the task takes along.
pub(crate) struct Taken {
    pub(crate) name: Ident,
    pub(crate) mutability: Option<Token![mut]>,
    pub(crate) span: Span,
    pub(crate) how: How,
    pub(crate) is_receiver: bool,
}

/// How, as far as it can be seen.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// A reference.
    Cloned,
    /// A reference that is there for ever.
    Moved,
    ByType,
}

/// All that the body names.
pub(crate) fn used(function: &WorkFn) -> Vec<Taken> {
    select(function, &Names::of_body(function))
}

/// All that the task uses, by what the body and the closures name.
pub(crate) fn taken(args: &Args, function: &WorkFn) -> Vec<Taken> {
    let mut names = Names::of_body(function);
    for rule in rules(args) {
        names.of(match rule {
            Rule::Closure(closure) => closure.to_token_stream(),
            Rule::Function(function) => function.to_token_stream(),
        });
    }
    if let Some((_, Ttl::Time(Time::Expr(time)))) = &args.cache_err {
        names.of(time.to_token_stream());
    }
    select(function, &names)
}

/// The arguments that are named.
fn select(function: &WorkFn, names: &Names) -> Vec<Taken> {
    let inputs = function.params.iter().zip(&function.sig.inputs);
    let taken = inputs.flat_map(|(param, input)| match input {
        FnArg::Receiver(receiver) => vec![Taken {
            name: Ident::new("self", receiver.self_token.span),
            mutability: receiver.mutability,
            span: param.span,
            how: of_receiver(&receiver.kind),
            is_receiver: true,
        }],
        FnArg::Typed(arg) => {
            let how = match &param.form {
                Form::Named(_) => of_type(&arg.ty),
                _ => How::ByType,
            };
            let taken = |binding: PatIdent| Taken {
                name: binding.ident,
                mutability: binding.mutability.filter(|_| binding.by_ref.is_none()),
                span: param.span,
                how,
                is_receiver: false,
            };
            bindings(&arg.pat).into_iter().map(taken).collect()
        }
    });
    taken.filter(|taken| names.has(&taken.name)).collect()
}

/// The closures about what is computed: the task asks them.
fn rules(args: &Args) -> impl Iterator<Item = &Rule> {
    let share_err = args
        .share_err
        .as_ref()
        .and_then(|share_err| match share_err {
            ShareErr::By(_, rule) => Some(rule),
            ShareErr::Never(_) => None,
        });
    let cache_err = args.cache_err.as_ref().map(|(_, ttl)| ttl);
    let ttls = args
        .ttl
        .iter()
        .chain(cache_err)
        .filter_map(|ttl| match ttl {
            Ttl::Closure(rule) => Some(rule),
            Ttl::Time(_) => None,
        });
    args.cache_if.iter().chain(share_err).chain(ttls)
}

fn of_receiver(kind: &ReceiverKind) -> How {
    match kind {
        ReceiverKind::Reference(_, lifetime, _) if lifetime.as_ref().is_some_and(is_static) => {
            How::Moved
        }
        ReceiverKind::Reference(..) => How::Cloned,
        ReceiverKind::Typed(_, ty) => of_type(ty),
        _ => How::ByType,
    }
}

fn of_type(ty: &Type) -> How {
    match ty {
        Type::Group(group) => of_type(&group.elem),
        Type::Paren(paren) => of_type(&paren.elem),
        Type::Reference(reference) if reference.lifetime.as_ref().is_some_and(is_static) => {
            How::Moved
        }
        Type::Reference(_) => How::Cloned,
        _ => How::ByType,
    }
}

fn bindings(pattern: &Pat) -> Vec<PatIdent> {
    struct Bindings(Vec<PatIdent>);
    impl VisitMut for Bindings {
        fn visit_pat_ident_mut(&mut self, pattern: &mut PatIdent) {
            self.0.push(pattern.clone());
            syn::visit_mut::visit_pat_ident_mut(self, pattern);
        }
    }
    let mut bindings = Bindings(Vec::new());
    bindings.visit_pat_mut(&mut pattern.clone());
    bindings.0
}

/// The names in some tokens. More than are variables, which does no harm; those that a format string captures, too.
#[derive(Default)]
struct Names {
    words: Vec<String>,
    texts: Vec<String>,
}

impl Names {
    fn of_body(function: &WorkFn) -> Self {
        let mut names = Self::default();
        names.of(match &function.boxed {
            Some(boxed) => boxed.statements(),
            None => function.body.stream(),
        });
        names
    }

    fn of(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        for (at, token) in tokens.iter().enumerate() {
            match token {
                TokenTree::Ident(word) if may_be_variable(&tokens, at) => {
                    self.words.push(word.unraw().to_string());
                }
                TokenTree::Literal(literal) => self.texts.push(literal.to_string()),
                TokenTree::Group(group) => self.of(group.stream()),
                _ => {}
            }
        }
    }

    fn has(&self, name: &Ident) -> bool {
        let name = name.unraw().to_string();
        self.words.contains(&name) || self.texts.iter().any(|text| captures(text, &name))
    }
}

/// Not the name of a field, of a method, or of the beginning of a path.
fn may_be_variable(tokens: &[TokenTree], at: usize) -> bool {
    let is = |at: Option<usize>, punct: char| {
        let token = at.and_then(|at| tokens.get(at));
        matches!(token, Some(TokenTree::Punct(found)) if found.as_char() == punct)
    };
    let is_member = is(at.checked_sub(1), '.') && !is(at.checked_sub(2), '.');
    let is_path = is(Some(at + 1), ':') && is(Some(at + 2), ':');
    !is_member && !is_path
}

/// Whether a format string captures a variable of that name, as a value or as a width.
pub(crate) fn captures(text: &str, name: &str) -> bool {
    let in_word = |c: char| c.is_alphanumeric() || c == '_';
    let is_width = text
        .match_indices(&format!("{name}$"))
        .any(|(at, _)| !text[..at].ends_with(in_word));
    is_width
        || text.match_indices('{').any(|(at, _)| {
            let rest = text[at + 1..].trim_start();
            rest.strip_prefix(name)
                .is_some_and(|after| !after.starts_with(in_word))
        })
}
