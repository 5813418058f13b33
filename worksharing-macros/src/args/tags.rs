//! The option `tags`.

use proc_macro2::Span;
use syn::parse::Parser as _;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned as _;
use syn::{Expr, Ident, Lit, LitStr, Token};

use crate::hints;
use crate::mistakes::Mistakes;
use crate::value::{Value, ungrouped};

/// `tags("user:{user}", function)`
#[derive(Default)]
pub(crate) struct Tags {
    /// Templates, each of another text.
    pub(crate) texts: Vec<LitStr>,
    /// The word `function`: the tag of the function itself.
    pub(crate) function: Option<Span>,
}

const WRITE: &str =
    "write tags in quotes, like `tags(\"user:{user}\", \"reports\")`, or the word `function`";

pub(super) fn tags(name: &Ident, value: Value, mistakes: &mut Mistakes) -> syn::Result<Tags> {
    let Value::List(list) = value else {
        return Err(syn::Error::new(name.span(), WRITE));
    };
    let parser = Punctuated::<Expr, Token![,]>::parse_terminated;
    let list = parser.parse2(list)?;
    if list.is_empty() {
        return Err(syn::Error::new(
            name.span(),
            format!("no tag is named: {WRITE}"),
        ));
    }
    let mut tags = Tags::default();
    for tag in list {
        if let Err(error) = tags.add(ungrouped(tag)) {
            mistakes.add(error);
        }
    }
    Ok(tags)
}

impl Tags {
    fn add(&mut self, tag: Expr) -> syn::Result<()> {
        let span = tag.span();
        let is_new = match tag {
            Expr::Lit(syn::ExprLit {
                lit: Lit::Str(text),
                ..
            }) => self.add_text(text)?,
            Expr::Path(path) if path.path.is_ident("function") => {
                self.function.replace(span).is_none()
            }
            other => return Err(syn::Error::new_spanned(&other, no_tag(&other))),
        };
        if is_new {
            return Ok(());
        }
        let message = "this tag is given twice: remove one of them";
        Err(syn::Error::new(span, message))
    }

    /// Whether it is another one than those before.
    fn add_text(&mut self, text: LitStr) -> syn::Result<bool> {
        if text.value().is_empty() {
            let message = format!("an empty tag names nothing: {WRITE}");
            return Err(syn::Error::new(text.span(), message));
        }
        let is_new = self.texts.iter().all(|other| other.value() != text.value());
        self.texts.extend(is_new.then_some(text));
        Ok(is_new)
    }
}

/// What to write instead.
fn no_tag(tag: &Expr) -> String {
    let word = match tag {
        Expr::Path(path) => path.path.get_ident().map(Ident::to_string),
        _ => None,
    };
    match word {
        Some(word) if hints::closest(&word, ["function"]).is_some() => {
            format!("`{word}` is no tag: did you mean `function`?")
        }
        Some(word) => {
            let texts = format!("`tags(\"{word}\")` or `tags(\"{word}:{{{word}}}\")`");
            format!("`{word}` is no tag: write a text, like {texts}")
        }
        None => WRITE.to_owned(),
    }
}
