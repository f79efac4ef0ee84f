//! Proofs of possession against the examples of their RFCs, each verified with the key in its header.
#![allow(clippy::unwrap_used)]

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{Method, Uri};
use outlast_core::{Secret, Timestamp};
use outlast_oauth::assertion::KeyError;
use outlast_oauth::dpop::{Proof, ProofKey, generate, thumbprint};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const NOW: Timestamp = Timestamp::from_secs(1_562_262_616);

/// The key of RFC 9449's examples is public alone; this private one is that of RFC 7515 A.3.
const P256_JWK: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}"#;

fn of<'a>(method: &'a Method, target: &'a Uri) -> Proof<'a> {
    Proof { method, target, nonce: None, access_token: None, now: NOW }
}

/// Header and claims of a proof whose signature fits the key in its own header.
fn verified(proof: &Secret) -> (Value, Value) {
    let (signed, signature) = proof.expose().rsplit_once('.').unwrap();
    let (header, claims) = signed.split_once('.').unwrap();
    let read = |part: &str| -> Value { serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap() };
    let header = read(header);
    let coordinate = |name: &str| URL_SAFE_NO_PAD.decode(header["jwk"][name].as_str().unwrap()).unwrap();
    let point = [vec![4], coordinate("x"), coordinate("y")].concat();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(signed.as_bytes(), &signature).unwrap();
    (header, read(claims))
}

#[test]
fn n31_a_proof_holds_what_rfc_9449_asks_for_and_no_more() {
    let key = ProofKey::read(&Secret::new(P256_JWK)).unwrap();
    let (method, target) = (Method::GET, "https://resource.example.org/protectedresource?page=2".parse().unwrap());
    // The token and its hash are those of RFC 9449 7.1, figures 12 and 13.
    let token = Secret::new("Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU");
    let proof = Proof { nonce: Some("n-1"), access_token: Some(&token), ..of(&method, &target) };
    let (header, claims) = verified(&key.proof(&proof).unwrap());
    let public = json!({ "kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" });
    assert_eq!(header, json!({ "typ": "dpop+jwt", "alg": "ES256", "jwk": public }));
    let wanted = json!({ "htm": "GET", "htu": "https://resource.example.org/protectedresource", "iat": 1_562_262_616,
        "ath": "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo", "nonce": "n-1", "jti": claims["jti"] });
    assert_eq!(claims, wanted);
}

#[test]
fn n31_a_proof_for_a_token_endpoint_has_neither_hash_nor_nonce_of_its_own_making() {
    let key = ProofKey::read(&generate().unwrap()).unwrap();
    let (method, target) = (Method::POST, "https://server.example.com/token".parse().unwrap());
    let (_, claims) = verified(&key.proof(&of(&method, &target)).unwrap());
    let names: BTreeSet<&str> = claims.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, BTreeSet::from(["htm", "htu", "iat", "jti"]));
}

#[test]
fn n31_the_thumbprint_is_that_of_the_rfc() {
    // RFC 9449 6.1 gives the thumbprint of the public key of its examples; a private key for it is
    // not published, so the computation is compared over the members, as RFC 7638 3.1 describes it.
    let members = r#"{"crv":"P-256","kty":"EC","x":"l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs","y":"9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA"}"#;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, members.as_bytes());
    assert_eq!(URL_SAFE_NO_PAD.encode(digest), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
    // And the same computation over a key whose private part is known gives what this gives.
    let members = r#"{"crv":"P-256","kty":"EC","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, members.as_bytes());
    assert_eq!(thumbprint(&Secret::new(P256_JWK)).unwrap(), URL_SAFE_NO_PAD.encode(digest));
}

#[test]
fn n31_every_proof_is_another_and_every_one_is_right() {
    let key = ProofKey::read(&generate().unwrap()).unwrap();
    let (method, target) = (Method::POST, "https://server.example.com/token".parse().unwrap());
    let proofs = (0..2_000).map(|_| verified(&key.proof(&of(&method, &target)).unwrap()).1["jti"].to_string());
    assert_eq!(proofs.collect::<BTreeSet<_>>().len(), 2_000);
}

#[test]
fn n32_each_grant_has_a_key_of_its_own_that_survives_being_written_down() {
    let (one, other) = (generate().unwrap(), generate().unwrap());
    assert_ne!(thumbprint(&one).unwrap(), thumbprint(&other).unwrap());
    let written = Secret::new(one.expose());
    assert_eq!(thumbprint(&one).unwrap(), thumbprint(&written).unwrap());
}

#[test]
fn f48_what_is_no_key_on_p_256_is_refused_and_not_shown() {
    let table = [
        ("", KeyError::Unreadable),
        ("CANARY", KeyError::Unreadable),
        (r#"{"kty":"oct","k":"CANARY"}"#, KeyError::Algorithm),
        (
            r#"{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
            "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
            KeyError::Unsupported,
        ),
    ];
    for (text, wanted) in table {
        let error = ProofKey::read(&Secret::new(text)).unwrap_err();
        assert_eq!(error, wanted, "{text}");
        assert!(!format!("{error} {error:?}").contains("CANARY"));
    }
    let scalar = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI";
    assert!(!format!("{:?}", ProofKey::read(&Secret::new(P256_JWK)).unwrap()).contains(scalar));
}
