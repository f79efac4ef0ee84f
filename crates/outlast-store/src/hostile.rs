//! What must hold for any bytes inside a seal. Used by the tests below and by fuzz targets, which cannot
//! reach the reader of records from outside.

pub use crate::journal::hostile::journal;

use crate::record::{decode, encode};
use outlast_core::{Generation, GrantId, StoreError};

/// A record: what is read of it is written back as it was read, and what cannot be read is not quoted.
///
/// # Panics
/// If that does not hold.
pub fn record(bytes: &[u8]) {
    let id = GrantId::parse("crm").expect("a name");
    match decode(&id, Generation(7), bytes) {
        Ok((grant, unknown)) => {
            assert_eq!((&grant.id, grant.generation), (&id, Generation(7)));
            let Ok(written) = encode(&grant, &unknown) else { return };
            let (again, kept) = decode(&id, Generation(7), &written).expect("our own writing can be read");
            assert!(again == grant && kept == unknown);
        }
        Err(StoreError::Corrupt { detail }) => assert!(!detail.contains("CANARY"), "{detail}"),
        Err(other) => panic!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Unknown;
    use crate::seal::{Binding, StoreId, StoreKey, open, seal};
    use outlast_testkit::contract::token_store::all_kinds;
    use outlast_testkit::mutation::try_all;
    use proptest::prelude::{Just, ProptestConfig, any, prop, prop_assert, prop_assert_eq, prop_oneof, proptest};
    use proptest::strategy::Strategy as Generate;
    use zeroize::Zeroizing;

    #[test]
    fn t9_records() {
        let good: Vec<_> = all_kinds().iter().map(|grant| encode(grant, &Unknown::new()).unwrap()).collect();
        try_all(&good.iter().map(|record| record.as_slice()).collect::<Vec<_>>(), 10_000, record);
    }

    /// Ten thousand cases of each at least (T10); more by `PROPTEST_CASES`.
    fn many() -> ProptestConfig {
        let told = ProptestConfig::default();
        ProptestConfig { cases: told.cases.max(10_000), failure_persistence: None, ..told }
    }

    #[derive(Clone, Debug, PartialEq)]
    struct Place {
        key: [u8; 32],
        store: [u8; 16],
        name: String,
        generation: u64,
        epoch: u64,
    }

    impl Place {
        fn key(&self) -> StoreKey {
            StoreKey::new(Zeroizing::new(self.key))
        }

        fn binding(&self) -> Binding<'_> {
            let Self { store, name, generation, epoch, .. } = self;
            Binding { store: StoreId(*store), name, generation: *generation, epoch: *epoch }
        }
    }

    fn places() -> impl Generate<Value = Place> {
        let numbers = || prop_oneof![0..3_u64, any::<u64>()];
        (any::<[u8; 32]>(), any::<[u8; 16]>(), "[a-z0-9_][a-zA-Z0-9._-]{0,63}", numbers(), numbers())
            .prop_map(|(key, store, name, generation, epoch)| Place { key, store, name, generation, epoch })
    }

    /// A place that differs from `here` in one thing or in all.
    fn elsewhere(here: Place) -> impl Generate<Value = (Place, Place)> {
        (Just(here), places(), 0..6_u8).prop_map(|(here, other, what)| {
            let there = match what {
                0 => Place { key: other.key, ..here.clone() },
                1 => Place { store: other.store, ..here.clone() },
                2 => Place { name: other.name, ..here.clone() },
                3 => Place { generation: other.generation, ..here.clone() },
                4 => Place { epoch: other.epoch, ..here.clone() },
                _ => other,
            };
            (here, there)
        })
    }

    proptest! {
        #![proptest_config(many())]

        #[test]
        fn t10_what_was_sealed_opens_in_its_place_and_in_no_other(
            (here, there) in places().prop_flat_map(elsewhere), plain in prop::collection::vec(any::<u8>(), 0..600),
        ) {
            let sealed = seal(&here.key(), &here.binding(), &plain).unwrap();
            let opened = open(&here.key(), &here.binding(), &sealed).unwrap();
            prop_assert_eq!(opened.as_slice(), plain.as_slice());
            prop_assert_eq!(open(&there.key(), &there.binding(), &sealed).is_ok(), here == there);
            prop_assert!(plain.len() < 8 || !sealed.windows(plain.len()).any(|window| window == plain));
        }

        #[test]
        fn t10_nothing_opens_that_was_changed_cut_or_lengthened(
            place in places(), plain in prop::collection::vec(any::<u8>(), 0..300),
            at in any::<prop::sample::Index>(), mask in 1..=u8::MAX, cut in any::<prop::sample::Index>(),
            more in prop::collection::vec(any::<u8>(), 1..20),
        ) {
            let sealed = seal(&place.key(), &place.binding(), &plain).unwrap();
            let mut changed = sealed.clone();
            changed[at.index(sealed.len())] ^= mask;
            let longer = [sealed.as_slice(), &more].concat();
            for damaged in [changed.as_slice(), &sealed[..cut.index(sealed.len())], &longer] {
                prop_assert!(open(&place.key(), &place.binding(), damaged).is_err());
            }
        }
    }
}
