//! Texts that many objects have in common.

use std::collections::HashSet;
use std::sync::Arc;

/// So many texts are not looked through.
const FEW: usize = 1024;

/// The texts that objects hold, one allocation for each: names of namespaces and Services, labels, names of ports.
#[derive(Debug, Default)]
pub(super) struct Texts {
    known: HashSet<Arc<str>>,
    /// How many texts somebody held when that was looked at last.
    held: usize,
}

impl Texts {
    /// Has `text` be the one that others hold, too.
    pub(super) fn share(&mut self, text: &mut Arc<str>) {
        if let Some(known) = self.known.get(&**text) {
            *text = Arc::clone(known);
            return;
        }
        // Every other time there are twice as many: it costs each text the same, however many come and go.
        if self.known.len() >= 2 * self.held.max(FEW) {
            self.forget();
        }
        self.known.insert(Arc::clone(text));
    }

    /// Lets go of what nobody holds.
    pub(super) fn forget(&mut self) {
        self.known.retain(|text| Arc::strong_count(text) > 1);
        self.known.shrink_to_fit();
        self.held = self.known.len();
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_come_and_go_are_not_kept() {
        let mut texts = Texts::default();
        let mut kept: Arc<str> = "kept".into();
        texts.share(&mut kept);
        for number in 0..100 * FEW {
            texts.share(&mut number.to_string().into());
            assert!(texts.len() <= 2 * FEW);
        }

        let mut again: Arc<str> = "kept".into();
        texts.share(&mut again);
        assert!(Arc::ptr_eq(&kept, &again));
        texts.forget();
        assert_eq!(texts.len(), 1);
    }
}
