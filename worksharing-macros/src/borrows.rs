//! What a type shows of references, to tell what a detached computation cannot take along.

use syn::visit::Visit;
use syn::visit_mut::VisitMut;
use syn::{
    GenericArgument, Lifetime, ParenthesizedGenericArguments, PathArguments, Type, TypeFnPtr,
    TypeReference,
};

pub(crate) fn is_static(lifetime: &Lifetime) -> bool {
    lifetime.ident == "static"
}

/// Whether a type shows a reference or a lifetime that may end. What a function takes or returns does not count.
pub(crate) fn borrows(ty: &Type) -> bool {
    struct Borrows(bool);
    impl<'ast> Visit<'ast> for Borrows {
        fn visit_type_reference(&mut self, reference: &'ast TypeReference) {
            self.0 |= !reference.lifetime.as_ref().is_some_and(is_static);
            syn::visit::visit_type_reference(self, reference);
        }
        fn visit_lifetime(&mut self, lifetime: &'ast Lifetime) {
            self.0 |= !is_static(lifetime);
        }
        fn visit_type_fn_ptr(&mut self, _: &'ast TypeFnPtr) {}
        fn visit_parenthesized_generic_arguments(
            &mut self,
            _: &'ast ParenthesizedGenericArguments,
        ) {
        }
    }
    let mut borrows = Borrows(false);
    borrows.visit_type(ty);
    borrows.0
}

/// The type that a reference refers to, of an argument that may be taken along by it: `&T`, or `Option<&T>`.
pub(crate) fn referenced(ty: &Type) -> Option<&TypeReference> {
    match ty {
        Type::Group(group) => referenced(&group.elem),
        Type::Paren(paren) => referenced(&paren.elem),
        Type::Reference(reference) => Some(reference),
        Type::Path(path) => {
            let last = path
                .path
                .segments
                .last()
                .filter(|last| last.ident == "Option")?;
            let PathArguments::AngleBracketed(arguments) = &last.arguments else {
                return None;
            };
            match arguments.args.first()? {
                GenericArgument::Type(Type::Reference(reference)) => Some(reference),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Whether a type may be an alias of a reference: a lifetime is all that it shows. That is left to the compiler.
pub(crate) fn may_be_alias(ty: &Type) -> bool {
    let Type::Path(path) = ty else { return false };
    let last = path.path.segments.last().filter(|last| last.ident != "Cow");
    let Some(PathArguments::AngleBracketed(arguments)) = last.map(|last| &last.arguments) else {
        return false;
    };
    arguments.args.iter().all(|argument| match argument {
        GenericArgument::Type(ty) => !borrows(ty),
        _ => true,
    })
}

/// `T` of `Cow<'_, T>`, as one owns it.
fn cow_of(ty: &Type) -> Option<Type> {
    let Type::Path(path) = ty else { return None };
    let last = path
        .path
        .segments
        .last()
        .filter(|last| last.ident == "Cow")?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return None;
    };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => owned(&syn::parse_quote!(&#ty)),
        _ => None,
    })
}

/// The type with owned types in place of references, if that is all it takes.
pub(crate) fn owned(ty: &Type) -> Option<Type> {
    struct Owned;
    impl VisitMut for Owned {
        fn visit_type_mut(&mut self, ty: &mut Type) {
            syn::visit_mut::visit_type_mut(self, ty);
            if let Some(text) = cow_of(ty) {
                *ty = text;
            }
            if let Type::Reference(reference) = ty {
                *ty = match &*reference.elem {
                    Type::Path(path) if path.path.is_ident("str") => syn::parse_quote!(String),
                    Type::Slice(slice) => {
                        let elem = &slice.elem;
                        syn::parse_quote!(Vec<#elem>)
                    }
                    elem => elem.clone(),
                };
            }
        }
    }
    let mut ty = ty.clone();
    Owned.visit_type_mut(&mut ty);
    (!borrows(&ty)).then_some(ty)
}
