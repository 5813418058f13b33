use crate::Key;
#[cfg(feature = "postgres")]
use crate::outbox::What;

/// What is put before every characteristic string of a runtime, and before every tag.
#[derive(Clone, Debug, Default)]
pub(crate) struct Namespace(Option<String>);

/// No characteristic string of a function begins so.
const TAG: &str = "\u{1}tag:";
const FUNCTION: &str = "\u{1}function:";

impl Namespace {
    pub(crate) fn new(namespace: Option<String>) -> Self {
        Self(namespace)
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// The key of a characteristic string.
    pub(crate) fn key(&self, characteristic: &str) -> Key {
        match &self.0 {
            Some(namespace) => Key::new(format!("{namespace}:{characteristic}")),
            None => Key::new(characteristic),
        }
    }

    /// The key of a tag's marker.
    pub(crate) fn tag(&self, tag: &str) -> Key {
        self.marker(TAG, tag)
    }

    /// The key of the marker of a function's own tag, which is none that a user can write.
    pub(crate) fn function_tag(&self, name: &str) -> Key {
        self.marker(FUNCTION, name)
    }

    fn marker(&self, of: &str, text: &str) -> Key {
        match &self.0 {
            Some(namespace) => Key::new(format!("{of}{namespace}:{text}")),
            None => Key::new(format!("{of}{text}")),
        }
    }

    /// What a key of this namespace is made of.
    #[cfg(feature = "postgres")]
    pub(crate) fn text<'a>(&self, key: &'a Key) -> Option<(What, &'a str)> {
        let all = key.characteristic();
        let markers = [(What::Tag, TAG), (What::Function, FUNCTION)];
        let marker = |(what, of)| Some((what, all.strip_prefix(of)?));
        let (what, text) = markers
            .into_iter()
            .find_map(marker)
            .unwrap_or((What::Key, all));
        let text = match &self.0 {
            Some(namespace) => text.strip_prefix(namespace.as_str())?.strip_prefix(':')?,
            None => text,
        };
        Some((what, text))
    }
}

#[cfg(all(test, feature = "postgres"))]
mod tests {
    use super::*;

    #[test]
    fn a_key_tells_what_it_is_made_of() {
        let none = Namespace::default();
        let shop = Namespace::new(Some("shop".to_owned()));
        for namespace in [&none, &shop] {
            for text in ["", "report:2024", "shop:report", "tag:a"] {
                for (what, key) in [
                    (What::Key, namespace.key(text)),
                    (What::Tag, namespace.tag(text)),
                    (What::Function, namespace.function_tag(text)),
                ] {
                    assert_eq!(namespace.text(&key), Some((what, text)));
                }
            }
        }
        assert_eq!(shop.text(&Key::new("shopping:a")), None);
        assert_eq!(shop.text(&none.tag("a")), None);
    }
}
