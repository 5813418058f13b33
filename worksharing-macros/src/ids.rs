//! The argument that `each` goes through: how its ids are taken, and lent to the body.

use syn::ext::IdentExt as _;
use syn::{FnArg, GenericParam, Type};

use crate::args::Each;
use crate::work_fn::{Form, WorkFn};

/// By the syntax of the argument's type.
#[derive(Clone, Copy)]
pub(crate) enum IdsForm {
    /// `&[T]`
    Slice,
    /// `&Vec<T>`
    VecRef,
    /// `&C`
    Reference,
    /// `Vec<T>`, `impl IntoIterator<Item = T>`
    Vec,
    /// `C`
    Owned,
}

impl IdsForm {
    pub(crate) fn is_reference(self) -> bool {
        matches!(self, Self::Slice | Self::VecRef | Self::Reference)
    }

    /// Whether the body is lent a collection that is made for it.
    pub(crate) fn is_made(self) -> bool {
        matches!(self, Self::Reference | Self::Owned)
    }
}

/// The form of the argument that holds the ids, if it is one that can be gone through.
pub(crate) fn ids_form(each: &Each, function: &WorkFn) -> Option<IdsForm> {
    form_of(ids_type(each, function)?, function)
}

pub(crate) fn ids_type<'a>(each: &Each, function: &'a WorkFn) -> Option<&'a Type> {
    let mut inputs = function.params.iter().zip(&function.sig.inputs);
    inputs.find_map(|(param, input)| match (&param.form, input) {
        (Form::Named(name), FnArg::Typed(arg)) if name.unraw() == each.ids.unraw() => {
            Some(&*arg.ty)
        }
        _ => None,
    })
}

pub(crate) fn form_of(ty: &Type, function: &WorkFn) -> Option<IdsForm> {
    match plain(ty) {
        Type::Reference(reference) if reference.mutability.is_some() => None,
        Type::Reference(reference) => match plain(&reference.elem) {
            Type::Slice(_) => Some(IdsForm::Slice),
            elem if is_vec(elem) => Some(IdsForm::VecRef),
            Type::Path(_) => Some(IdsForm::Reference),
            _ => None,
        },
        Type::ImplTrait(_) => Some(IdsForm::Vec),
        ty if is_vec(ty) || is_parameter(ty, function) => Some(IdsForm::Vec),
        Type::Path(_) | Type::Macro(_) => Some(IdsForm::Owned),
        _ => None,
    }
}

fn plain(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => plain(&group.elem),
        Type::Paren(paren) => plain(&paren.elem),
        ty => ty,
    }
}

fn is_vec(ty: &Type) -> bool {
    let Type::Path(path) = ty else { return false };
    let last = path.path.segments.last();
    last.is_some_and(|last| last.ident == "Vec")
}

/// A type that the caller chooses is as good as `impl IntoIterator`.
fn is_parameter(ty: &Type, function: &WorkFn) -> bool {
    let Type::Path(path) = ty else { return false };
    let mut params = function.sig.generics.params.iter();
    params
        .any(|param| matches!(param, GenericParam::Type(param) if path.path.is_ident(&param.ident)))
}
