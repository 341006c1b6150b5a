//! Pages hold every item once, whatever comes and goes, and tokens belong to their listing.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn listing() -> Listing {
    Listing::new("ListThings", &[&"open"])
}

fn page(items: &BTreeSet<u64>, size: u32, token: &str) -> Page<u64> {
    let request = PageRequest::new(listing(), size, token).expect("a page");
    request.cut(items.iter().copied(), |item| *item)
}

#[test]
fn pages_of_any_size_make_up_the_whole() {
    let items: BTreeSet<u64> = (0..10).collect();
    for size in [1, 2, 3, 10, 1_000, 0] {
        let (mut found, mut token) = (Vec::new(), String::new());
        loop {
            let page = page(&items, size, &token);
            assert!(size == 0 || page.items.len() <= size as usize);
            found.extend(page.items);
            token = page.next_page_token;
            if token.is_empty() {
                break;
            }
        }
        assert!(found.iter().eq(&items), "{size}: {found:?}");
    }
    assert_eq!(page(&BTreeSet::new(), 5, "").next_page_token, "");
    assert_eq!(
        page(&items, 10, "").next_page_token,
        "",
        "the whole listing is the last page"
    );
}

#[test]
fn what_comes_or_goes_between_pages_neither_repeats_nor_hides_others() {
    let mut items: BTreeSet<u64> = (10..20).collect();
    let first = page(&items, 4, "");
    assert_eq!(first.items, [10, 11, 12, 13]);
    // Before the end of the first page, and its very last item.
    items.extend([1, 2, 3]);
    items.retain(|item| ![11, 13].contains(item));
    let second = page(&items, 4, &first.next_page_token);
    assert_eq!(second.items, [14, 15, 16, 17]);
    items.remove(&18);
    items.insert(30);
    let third = page(&items, 4, &second.next_page_token);
    assert_eq!((third.items, third.next_page_token.as_str()), (vec![19, 30], ""));
}

#[test]
fn a_listing_that_descends_pages_downwards() {
    let request = |token: &str| PageRequest::<Reverse<u64>>::new(listing(), 2, token).expect("a page");
    let items = [5, 4, 3];
    let first = request("").cut(items, |item| Reverse(*item));
    assert_eq!(first.items, [5, 4]);
    let second = request(&first.next_page_token).cut([6, 5, 4, 3], |item| Reverse(*item));
    assert_eq!(second.items, [3]);
}

#[test]
fn a_token_of_another_listing_is_refused_and_the_field_is_named() {
    let token = listing().token(&7_u64);
    assert_eq!(listing().key::<u64>(&token), Ok(Some(7)));
    for other in [
        Listing::new("ListOthers", &[&"open"]),
        Listing::new("ListThings", &[&"closed"]),
        Listing::new("ListThings", &[&"open", &""]),
        Listing::new("ListThings", &[]),
    ] {
        let error = other.key::<u64>(&token).expect_err("foreign");
        assert_eq!(error.reason, Reason::PageTokenInvalid);
        assert_eq!(error.violations[0].field, "page_token");
    }
    assert_ne!(Listing::new("a", &[&"b\n1:c"]), Listing::new("a", &[&"b", &"c"]));
    listing().key::<u128>(&token).expect_err("a key of another kind");
}

proptest! {
    #[test]
    fn forged_tokens_are_refused(token in ".{1,60}") {
        prop_assert!(listing().key::<u64>(&token).is_err());
        prop_assert!(listing().key::<(String, String)>(&token).is_err());
    }

    #[test]
    fn cut_and_lengthened_tokens_are_refused(key in any::<u64>(), cut in 1..20_usize, more in "[A-Za-z0-9_-]{1,9}") {
        let token = listing().token(&key);
        prop_assert!(listing().key::<u64>(&token[..token.len() - cut]).is_err());
        let longer = token + &more;
        prop_assert!(listing().key::<u64>(&longer).is_err());
    }

    #[test]
    fn keys_survive_their_token(a in ".{0,40}", b in ".{0,40}", number in any::<u128>()) {
        let pair = (a, Reverse(b));
        let token = listing().token(&pair);
        prop_assert_eq!(listing().key(&token), Ok(Some(pair)));
        let pair = (number as u64, number);
        prop_assert_eq!(listing().key(&listing().token(&pair)), Ok(Some(pair)));
    }
}
