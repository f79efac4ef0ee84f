//! What is signed, with which keys, and which keys and algorithms are refused.
#![allow(clippy::unwrap_used)]

use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, UnparsedPublicKey, VerificationAlgorithm};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use outlast_core::wire::{Assertion, AssertionPlace, SigningKey};
use outlast_core::{Secret, Timestamp};
use outlast_oauth::assertion::{KeyError, check, sign, sign_jwt};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// RFC 8037 appendix A.1: key and, in A.4, signature.
const ED25519_JWK: &str = r#"{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
    "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
/// RFC 7515 appendix A.3.
const P256_JWK: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}"#;

fn key(material: impl Into<String>) -> SigningKey {
    SigningKey { material: Secret::new(material), algorithm: None, key_id: None }
}

fn with_algorithm(material: impl Into<String>, algorithm: &str) -> SigningKey {
    SigningKey { algorithm: Some(algorithm.to_owned()), ..key(material) }
}

fn assertion(key: SigningKey) -> Assertion {
    let claims = [("iss", "client"), ("aud", "https://login.example.com")];
    Assertion {
        place: AssertionPlace::Bearer,
        claims: claims.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect(),
        life: Duration::from_secs(60),
        backdated: Duration::ZERO,
        key,
    }
}

fn pem(kind: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let lines: Vec<&str> = body.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", lines.join("\n"))
}

/// Header and claims of a JWT whose signature is right.
#[track_caller]
fn verified(token: &Secret, algorithm: &'static dyn VerificationAlgorithm, public: &[u8]) -> (Value, Value) {
    let (signed, signature) = token.expose().rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    UnparsedPublicKey::new(algorithm, public).verify(signed.as_bytes(), &signature).expect("the signature is right");
    let (header, claims) = signed.split_once('.').unwrap();
    let read = |part: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    (read(header), read(claims))
}

fn rsa() -> aws_lc_rs::rsa::KeyPair {
    aws_lc_rs::rsa::KeyPair::generate(KeySize::Rsa2048).unwrap()
}

fn ec() -> (Vec<u8>, EcdsaKeyPair) {
    let pair = EcdsaKeyPair::generate(&signature::ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
    (pair.to_pkcs8v1().unwrap().as_ref().to_vec(), pair)
}

#[test]
fn the_signature_of_rfc_8037_comes_out_to_the_letter() {
    // The example signs a text; here it is compared over what this signs, with the key of the RFC.
    let header = Map::new();
    let claims = Map::from_iter([("sub".to_owned(), "golden".into())]);
    let token = sign_jwt(&key(ED25519_JWK), header, &claims).unwrap();
    let (signed, signature) = token.expose().rsplit_once('.').unwrap();
    assert_eq!(signed, "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJnb2xkZW4ifQ");
    let pair = Ed25519KeyPair::from_seed_unchecked(
        &URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap(),
    )
    .unwrap();
    // RFC 8037 A.4, over the RFC's own text: the key reads as the RFC means it.
    let golden = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
    let text = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    assert_eq!(URL_SAFE_NO_PAD.encode(pair.sign(text)), golden);
    assert_eq!(URL_SAFE_NO_PAD.encode(pair.sign(signed.as_bytes())), signature);
}

#[test]
fn every_form_of_key_signs_with_the_algorithm_that_fits_it() {
    let (pkcs8, pair) = ec();
    let sec1 =
        aws_lc_rs::encoding::AsDer::<aws_lc_rs::encoding::EcPrivateKeyRfc5915Der<'_>>::as_der(&pair.private_key())
            .unwrap();
    let point = pair.public_key().as_ref().to_vec();
    let noted = format!(
        "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n{}",
        pem("EC PRIVATE KEY", sec1.as_ref())
    );
    let flat = pem("PRIVATE KEY", &pkcs8).replace('\n', "\\n");
    for material in [pem("PRIVATE KEY", &pkcs8), pem("EC PRIVATE KEY", sec1.as_ref()), noted, flat] {
        let token = sign(&assertion(key(material)), NOW).unwrap();
        assert_eq!(verified(&token, &signature::ECDSA_P256_SHA256_FIXED, &point).0["alg"], "ES256");
    }
    let token = sign(&assertion(key(P256_JWK)), NOW).unwrap();
    let point = [
        &[4][..],
        &URL_SAFE_NO_PAD.decode("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU").unwrap(),
        &URL_SAFE_NO_PAD.decode("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0").unwrap(),
    ]
    .concat();
    assert_eq!(verified(&token, &signature::ECDSA_P256_SHA256_FIXED, &point).0["alg"], "ES256");

    let pair = Ed25519KeyPair::generate().unwrap();
    let token = sign(&assertion(key(pem("PRIVATE KEY", pair.to_pkcs8v1().unwrap().as_ref()))), NOW).unwrap();
    assert_eq!(verified(&token, &signature::ED25519, pair.public_key().as_ref()).0["alg"], "EdDSA");
}

#[test]
fn rsa_keys_sign_with_pkcs1_unless_pss_is_configured() {
    let pair = rsa();
    let pkcs8 = aws_lc_rs::encoding::AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
    let pkcs8 = pem("PRIVATE KEY", pkcs8.as_ref());
    let public = pair.public_key().as_ref();
    let token = sign(&assertion(key(pkcs8.clone())), NOW).unwrap();
    assert_eq!(verified(&token, &signature::RSA_PKCS1_2048_8192_SHA256, public).0["alg"], "RS256");
    let token = sign(&assertion(with_algorithm(pkcs8, "PS256")), NOW).unwrap();
    assert_eq!(verified(&token, &signature::RSA_PSS_2048_8192_SHA256, public).0["alg"], "PS256");
}

/// The inner PKCS #1 structure of a PKCS #8 key: from its second SEQUENCE on, which is the content of
/// the only OCTET STRING.
fn pkcs1(pkcs8: &[u8]) -> &[u8] {
    let octets = pkcs8.windows(2).position(|pair| pair == [0x04, 0x82]).unwrap();
    &pkcs8[octets + 4..]
}

/// The INTEGERs of a PKCS #1 structure, without their leading zero bytes.
fn integers(pkcs1: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = &pkcs1[4..];
    let mut found = Vec::new();
    while let [0x02, length, ..] = rest {
        let (start, length) = match length {
            0x81 => (3, usize::from(rest[2])),
            0x82 => (4, usize::from(rest[2]) * 256 + usize::from(rest[3])),
            length => (2, usize::from(*length)),
        };
        let value = &rest[start..start + length];
        found.push(value.strip_prefix(&[0]).filter(|rest| !rest.is_empty()).unwrap_or(value).to_vec());
        rest = &rest[start + length..];
    }
    found
}

#[test]
fn rsa_keys_are_read_as_pkcs1_and_as_jwk_too() {
    let pair = rsa();
    let pkcs8 = aws_lc_rs::encoding::AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
    let pkcs1 = pkcs1(pkcs8.as_ref());
    let numbers = integers(pkcs1);
    let names = ["", "n", "e", "d", "p", "q", "dp", "dq", "qi"];
    let mut jwk: Map<String, Value> = Map::from_iter([("kty".to_owned(), "RSA".into())]);
    for (name, number) in names.iter().zip(&numbers).skip(1) {
        jwk.insert((*name).to_owned(), URL_SAFE_NO_PAD.encode(number).into());
    }
    for material in [pem("RSA PRIVATE KEY", pkcs1), json!(jwk).to_string()] {
        let token = sign(&assertion(key(material)), NOW).unwrap();
        verified(&token, &signature::RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref());
    }
    jwk.remove("d");
    assert_eq!(check(&key(json!(jwk).to_string())), Err(KeyError::NotPrivate));
}

#[test]
fn times_are_those_of_the_moment_and_no_two_jwts_are_the_same() {
    let (pkcs8, pair) = ec();
    let mut seen = BTreeSet::new();
    for _ in 0..50 {
        let backdated = Assertion { backdated: Duration::from_secs(60), ..assertion(key(pem("PRIVATE KEY", &pkcs8))) };
        let token = sign(&backdated, NOW).unwrap();
        let (header, claims) = verified(&token, &signature::ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref());
        assert_eq!(header, json!({"alg": "ES256", "typ": "JWT"}));
        assert_eq!(claims["iat"], NOW.as_secs() - 60);
        assert_eq!(claims["exp"], NOW.as_secs() + 60);
        assert_eq!((&claims["iss"], &claims["aud"]), (&json!("client"), &json!("https://login.example.com")));
        assert!(seen.insert(claims["jti"].as_str().unwrap().to_owned()));
        assert!(claims["jti"].as_str().unwrap().len() >= 22, "128 random bits");
    }
}

#[test]
fn the_key_id_and_algorithm_of_a_jwk_are_used_unless_others_are_configured() {
    let jwk = P256_JWK.replace("\"kty\"", "\"kid\":\"of-the-jwk\",\"alg\":\"ES256\",\"kty\"");
    let header = |key: &SigningKey| -> Value {
        let token = sign_jwt(key, Map::new(), &Map::new()).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.expose().split('.').next().unwrap()).unwrap()).unwrap()
    };
    assert_eq!(header(&key(jwk.clone())), json!({"alg": "ES256", "kid": "of-the-jwk"}));
    let named = SigningKey { key_id: Some("configured".to_owned()), ..key(jwk) };
    assert_eq!(header(&named), json!({"alg": "ES256", "kid": "configured"}));
}

#[test]
fn n60_none_hmac_and_algorithms_of_another_kind_of_key_are_refused() {
    for algorithm in ["none", "None", "NONE", "HS256", "HS512", "RS512", "es256", "", "ES256 "] {
        assert_eq!(check(&with_algorithm(P256_JWK, algorithm)), Err(KeyError::Algorithm), "{algorithm:?}");
    }
    for algorithm in ["RS256", "PS256", "EdDSA"] {
        assert!(matches!(check(&with_algorithm(P256_JWK, algorithm)), Err(KeyError::Mismatch { .. })), "{algorithm}");
    }
    assert!(matches!(check(&with_algorithm(ED25519_JWK, "ES256")), Err(KeyError::Mismatch { .. })));
    // A JWK that says so itself is not believed either.
    let lying = P256_JWK.replace("\"kty\"", "\"alg\":\"none\",\"kty\"");
    assert_eq!(check(&key(lying)), Err(KeyError::Algorithm));
    let symmetric = r#"{"kty":"oct","k":"CANARYCANARYCANARYCANARYCANARYCANARYCANARYA"}"#;
    assert_eq!(check(&key(symmetric)), Err(KeyError::Algorithm));
    assert_eq!(check(&with_algorithm(symmetric, "HS256")), Err(KeyError::Algorithm));
}

#[test]
fn what_is_no_usable_private_key_is_told_apart_and_never_shown() {
    let (pkcs8, _) = ec();
    let p384 = EcdsaKeyPair::generate(&signature::ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
    let another_point =
        P256_JWK.replace("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "CANARYAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    let table = [
        ("", KeyError::Unreadable),
        ("CANARY", KeyError::Unreadable),
        ("{\"CANARY\":", KeyError::Unreadable),
        ("{}", KeyError::Unreadable),
        ("-----BEGIN PRIVATE KEY-----\nCANARY", KeyError::Unreadable),
        (&pem("PRIVATE KEY", b"CANARY"), KeyError::Unsupported),
        (&pem("ENCRYPTED PRIVATE KEY", b"CANARY"), KeyError::Encrypted),
        (&pem("CERTIFICATE", b"CANARY"), KeyError::NotPrivate),
        (&pem("PUBLIC KEY", b"CANARY"), KeyError::NotPrivate),
        (&pem("PRIVATE KEY", &pkcs8[..pkcs8.len() / 2]), KeyError::Unsupported),
        (&pem("PRIVATE KEY", p384.to_pkcs8v1().unwrap().as_ref()), KeyError::Unsupported),
        (&P256_JWK.replace("\"d\"", "\"e\""), KeyError::NotPrivate),
        (&another_point, KeyError::Unsupported),
        (r#"{"type":"service_account","private_key":"CANARY"}"#, KeyError::ServiceAccount),
    ];
    for (material, wanted) in table {
        let error = check(&key(material)).unwrap_err();
        assert_eq!(error, wanted, "{material}");
        let told = format!("{error} {error:?} {:?}", key(material));
        assert!(!told.contains("CANARY"), "{told}");
        assert!(told.contains(": "), "it says what to do: {told}");
    }
}
