use proc_macro2::{Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::punctuated::Punctuated;
use syn::{Expr, Ident, Token};

/// What follows an option's name.
pub(crate) enum Value {
    None,
    Expr(Expr),
    List(TokenStream),
}

/// What `skip` wants.
pub(crate) const SKIP: &str = "write the arguments to leave out: `skip(db, log)`";

impl Value {
    pub(crate) fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        if input.parse::<Option<Token![=]>>()?.is_some() {
            if input.is_empty() || input.peek(Token![,]) {
                return Err(input.error("write a value after the `=`"));
            }
            return Ok(Self::Expr(ungrouped(input.parse()?)));
        }
        if input.peek(syn::token::Paren) {
            let list;
            syn::parenthesized!(list in input);
            return Ok(Self::List(list.parse()?));
        }
        Ok(Self::None)
    }

    pub(crate) fn expr(self, name: &Ident, example: &str) -> syn::Result<Expr> {
        match self {
            Self::Expr(expr) => Ok(expr),
            _ => Err(syn::Error::new(
                name.span(),
                format!("`{name}` has a value: write `{example}`"),
            )),
        }
    }

    pub(crate) fn flag(self, name: &Ident) -> syn::Result<Span> {
        match self {
            Self::None => Ok(name.span()),
            _ => Err(syn::Error::new(
                name.span(),
                format!("`{name}` has no value: write `{name}` alone"),
            )),
        }
    }

    pub(crate) fn list(self, name: &Ident) -> syn::Result<Vec<Ident>> {
        let Self::List(tokens) = self else {
            return Err(syn::Error::new(name.span(), SKIP));
        };
        let names = Punctuated::<Ident, Token![,]>::parse_terminated_with;
        let parse = |input: ParseStream<'_>| names(input, Ident::parse_any);
        Ok(parse.parse2(tokens)?.into_iter().collect())
    }

    /// For hints.
    pub(crate) fn text(&self) -> Option<String> {
        match self {
            Self::Expr(expr) => {
                let text = expr.to_token_stream().to_string();
                Some(text.trim_matches('"').to_owned())
            }
            _ => None,
        }
    }
}

pub(crate) fn skip_to_comma(input: ParseStream<'_>) {
    while !input.is_empty() && !input.peek(Token![,]) {
        let _ = input.parse::<TokenTree>();
    }
}

/// A fragment of a macro by example comes in an invisible group.
pub(crate) fn ungrouped(expr: Expr) -> Expr {
    match expr {
        Expr::Group(group) if group.attrs.is_empty() => ungrouped(*group.expr),
        other => other,
    }
}
