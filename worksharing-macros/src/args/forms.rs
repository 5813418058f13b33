//! The values of options that name or number something.

use syn::{Expr, Lit, LitStr, Path};

use super::{Handle, KeyForm, Rule};

pub(super) fn key(expr: Expr) -> KeyForm {
    match expr {
        Expr::Lit(literal) => match literal.lit {
            Lit::Str(template) => KeyForm::Template(template),
            lit => KeyForm::Expr(Expr::Lit(syn::ExprLit {
                attrs: literal.attrs,
                lit,
            })),
        },
        other => KeyForm::Expr(other),
    }
}

pub(super) fn rule(expr: Expr) -> Rule {
    match expr {
        Expr::Closure(closure) => Rule::Closure(closure),
        other => Rule::Function(other),
    }
}

pub(super) fn version(expr: Expr) -> syn::Result<Expr> {
    let fits = match &expr {
        Expr::Lit(literal) => {
            matches!(&literal.lit, Lit::Int(int) if int.base10_parse::<u32>().is_ok())
        }
        Expr::Unary(_) => false,
        _ => true,
    };
    let message = "write a whole number from 0 to 4294967295, like `version = 2`";
    if fits {
        Ok(expr)
    } else {
        Err(syn::Error::new_spanned(expr, message))
    }
}

pub(super) fn handle(expr: Expr) -> syn::Result<Handle> {
    let wrong = syn::Error::new_spanned(
        &expr,
        "write a name for the new function, like `handle = report_call`; \
         `handle = Self::report_call` for an associated function without `self`",
    );
    let Expr::Path(path) = expr else {
        return Err(wrong);
    };
    let mut segments: Vec<_> = path
        .path
        .segments
        .into_iter()
        .map(|segment| segment.ident)
        .collect();
    match (segments.pop(), segments.pop(), segments.pop()) {
        (Some(ident), None, None) => Ok(Handle {
            ident,
            of_self: None,
        }),
        (Some(ident), Some(of_self), None) if of_self == "Self" => Ok(Handle {
            ident,
            of_self: Some(of_self),
        }),
        _ => Err(wrong),
    }
}

pub(super) fn label(expr: Expr) -> syn::Result<LitStr> {
    match expr {
        Expr::Lit(syn::ExprLit {
            lit: Lit::Str(label),
            ..
        }) if !label.value().is_empty() => Ok(label),
        other => Err(syn::Error::new_spanned(
            other,
            "write a string literal, like `name = \"reports\"`",
        )),
    }
}

pub(super) fn krate(expr: Expr) -> syn::Result<Path> {
    match expr {
        Expr::Path(path) if path.qself.is_none() => Ok(path.path),
        other => {
            let message = "write a path without quotes, like `crate = other::worksharing`";
            Err(syn::Error::new_spanned(other, message))
        }
    }
}
