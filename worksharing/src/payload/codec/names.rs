/// The names that a type's `Deserialize` knows, against which a value's `Serialize` is held.
///
/// Where both do not agree, bincode would read one field or variant as another: `skip_serializing`,
/// `skip_deserializing`, a skipped variant before others. By names all of them come right.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Names {
    /// Whether the type cannot be read without names.
    pub(crate) required: bool,
    pub(crate) known: &'static [Members],
}

/// The fields of a struct or of a struct variant, or the variants of an enum, in their order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Members {
    pub(crate) owner: Owner,
    pub(crate) members: &'static [&'static str],
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Owner {
    Struct(&'static str),
    Enum(&'static str),
    /// Of this enum and name.
    Variant(&'static str, &'static str),
}

impl Names {
    /// All members lists of that owner: two types may have the same name.
    fn of(self, owner: Owner) -> impl Iterator<Item = &'static [&'static str]> {
        self.known
            .iter()
            .filter(move |known| known.owner == owner)
            .map(|known| known.members)
    }

    /// Whether a variant goes by this number. What is not known at all passes: not every type is
    /// derived, and a trace may not have reached it.
    pub(super) fn agree_on_variant(self, owner: &'static str, index: u32, variant: &str) -> bool {
        let mut enums = self.of(Owner::Enum(owner)).peekable();
        enums.peek().is_none()
            || enums.any(|variants| variants.get(index as usize) == Some(&variant))
    }
}

/// Holds a value's fields against the known ones, one after another.
#[derive(Clone, Copy)]
pub(super) struct Agreement {
    names: Names,
    owner: Owner,
    next: usize,
    len: usize,
    /// The list that has agreed so far.
    members: Option<&'static [&'static str]>,
}

impl Agreement {
    /// `None`: no list has that many fields.
    pub(super) fn new(names: Names, owner: Owner, len: usize) -> Option<Self> {
        let members = names.of(owner).find(|members| members.len() == len);
        let unknown = names.of(owner).next().is_none();
        (unknown || members.is_some()).then_some(Self {
            names,
            owner,
            next: 0,
            len,
            members,
        })
    }

    /// Whether the next field may be this one.
    pub(super) fn field(&mut self, field: &str) -> bool {
        let next = self.next;
        self.next += 1;
        let Some(members) = self.members else {
            return true;
        };
        if members.get(next) == Some(&field) {
            return true;
        }
        let before = &members[..next.min(members.len())];
        let fits = |other: &&[&str]| other.starts_with(before) && other.get(next) == Some(&field);
        let same_len = |other: &&[&str]| other.len() == self.len;
        let other = self.names.of(self.owner).filter(same_len).find(fits);
        self.members = other.or(self.members);
        other.is_some()
    }
}
