//! What a code or a sentence says, word by word. Never a substring: "expired" decides nothing
//! unless it is said of an access token, and "the reset token has expired" is not.

/// Most bytes of one text that are read.
pub(crate) const TEXT_BYTES_MAX: usize = 512;

/// A word in lower case, cut to sixteen bytes, as a number: compared in one step.
pub(crate) type Word = u128;

/// The number of a word; anything but letters and digits is left out.
pub(crate) const fn pack(text: &[u8]) -> Word {
    let mut word: Word = 0;
    let mut at = 0;
    let mut taken = 0;
    while at < text.len() && taken < 16 {
        let byte = text[at].to_ascii_lowercase();
        if byte.is_ascii_alphanumeric() {
            word = (word << 8) | byte as Word;
            taken += 1;
        }
        at += 1;
    }
    word
}

/// Builds a function from words to bits out of a table of lower-case words.
macro_rules! vocabulary {
    ($(#[$doc:meta])* $visibility:vis fn $name:ident -> $bits:ty { $($($word:ident)|+ => $meaning:expr;)* }) => {
        $(#[$doc])*
        #[allow(non_upper_case_globals)]
        $visibility const fn $name(word: $crate::classify::words::Word) -> $bits {
            $($(const $word: $crate::classify::words::Word =
                $crate::classify::words::pack(stringify!($word).as_bytes());)+)*
            match word {
                $($($word)|+ => $meaning,)*
                _ => 0,
            }
        }
    };
}
pub(crate) use vocabulary;

/// What a text says, as a set of the constants below.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Reading(u32);

impl Reading {
    /// Speaks of an access token by name (`access token`, `JWT`, `bearer token`).
    pub(crate) const ACCESS: Self = Self(1);
    /// Speaks of a token, a session or credentials without saying of which kind.
    pub(crate) const PLAIN: Self = Self(1 << 1);
    /// Speaks of a refresh token.
    pub(crate) const REFRESH: Self = Self(1 << 2);
    /// Speaks of something else that can expire or be invalid: a coupon, a page token, a card.
    pub(crate) const FOREIGN: Self = Self(1 << 3);
    /// Says that something has expired.
    pub(crate) const EXPIRED: Self = Self(1 << 4);
    /// Says that something is not valid.
    pub(crate) const INVALID: Self = Self(1 << 5);
    /// Says that something was revoked.
    pub(crate) const REVOKED: Self = Self(1 << 6);
    /// Says that something is missing or required.
    pub(crate) const MISSING: Self = Self(1 << 7);
    /// Says that a scope is lacking.
    pub(crate) const SCOPE_LACKING: Self = Self(1 << 8);
    /// Says that the person must prove more.
    pub(crate) const STEP_UP: Self = Self(1 << 9);
    /// Says that there were too many requests.
    pub(crate) const RATE: Self = Self(1 << 10);
    /// Speaks of an API key.
    pub(crate) const API_KEY: Self = Self(1 << 11);
    /// Speaks of the client: its id, secret or registration.
    pub(crate) const CLIENT: Self = Self(1 << 12);
    /// Says that nobody is signed in.
    pub(crate) const UNAUTHENTICATED: Self = Self(1 << 13);
    /// Says no: lacks a permission.
    pub(crate) const DENIED: Self = Self(1 << 14);
    /// Says that something is not supported or switched off.
    pub(crate) const UNSUPPORTED: Self = Self(1 << 15);
    /// Speaks of an assertion's signature or clock.
    pub(crate) const ASSERTION: Self = Self(1 << 16);

    /// Speaks of credentials, which may be the client's as well.
    pub(crate) const CREDENTIALS: Self = Self(1 << 17);
    /// Says that a scope is not valid.
    pub(crate) const SCOPE_INVALID: Self = Self(1 << 18);

    /// Says that a permission is lacking, by that word.
    pub(crate) const NO_PERMISSION: Self = Self(1 << 19);

    /// Whether it says all of `other`.
    pub(crate) const fn says(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether it says any of `other`.
    pub(crate) const fn says_any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// This set without the other.
    pub(crate) const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Both sets.
    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

const TOKEN: u64 = 1;
const SESSION: u64 = 1 << 1;
const CREDENTIAL: u64 = 1 << 2;
const JWT: u64 = 1 << 3;
const OURS: u64 = 1 << 4;
const THEIRS: u64 = 1 << 5;
const THING: u64 = 1 << 6;
const EXPIRED: u64 = 1 << 7;
const INVALID: u64 = 1 << 8;
const VALID: u64 = 1 << 9;
const REVOKED: u64 = 1 << 10;
const MISSING: u64 = 1 << 11;
const PROVIDED: u64 = 1 << 12;
const SIGNED_IN: u64 = 1 << 13;
const SCOPE: u64 = 1 << 14;
const LACK: u64 = 1 << 15;
const PERMISSION: u64 = 1 << 16;
const ALLOWED: u64 = 1 << 17;
const RATE: u64 = 1 << 18;
const LIMIT: u64 = 1 << 19;
const THROTTLED: u64 = 1 << 20;
const QUOTA: u64 = 1 << 21;
const REQUESTS: u64 = 1 << 22;
const MANY: u64 = 1 << 23;
const EXCEEDED: u64 = 1 << 24;
const FACTOR: u64 = 1 << 25;
const SECOND: u64 = 1 << 26;
const MFA: u64 = 1 << 27;
const SSO: u64 = 1 << 28;
const MUST: u64 = 1 << 29;
const KEY: u64 = 1 << 30;
const API: u64 = 1 << 31;
const CLIENT: u64 = 1 << 32;
const SECRET: u64 = 1 << 33;
const NOT: u64 = 1 << 34;
const YET: u64 = 1 << 35;
const REFRESH: u64 = 1 << 36;
const FAILED: u64 = 1 << 37;
const SIZE: u64 = 1 << 38;
const SUPPORTED: u64 = 1 << 39;
const SIGNATURE: u64 = 1 << 40;
const CLOCK: u64 = 1 << 41;
const API_KEY: u64 = 1 << 42;
const UNAUTHENTICATED: u64 = 1 << 43;
const ASSERTION: u64 = 1 << 44;
const AMOUNT: u64 = 1 << 45;
const SLOW: u64 = 1 << 46;
const DOWN: u64 = 1 << 47;
const USAGE: u64 = 1 << 48;
const PLURAL: u64 = 1 << 49;
const AUTHORIZATION: u64 = 1 << 50;
const HEADER: u64 = 1 << 51;
const UP: u64 = 1 << 52;
const STEP: u64 = 1 << 53;
const GRANT: u64 = 1 << 54;
const RIGHT: u64 = 1 << 55;

vocabulary! {
    /// What a single word contributes.
    fn atoms -> u64 {
        token => TOKEN;
        tokens => TOKEN | PLURAL;
        session | sessionid => SESSION;
        credential | credentials => CREDENTIAL;
        jwt | accesstoken | authtoken | oauthtoken | bearertoken | apitoken | idtoken => JWT;
        access | auth | oauth | oauth2 | bearer | security | id | identity | user | login | personal => OURS;
        authentication | authenticate | authenticated => OURS | SIGNED_IN;
        authorization | authorisation => OURS | AUTHORIZATION;
        api => OURS | API;
        page | next | pagination | sync | synchronization | continuation | reset | csrf | xsrf | public | verification
            | confirmation | confirm | invite | invitation | registration | device | upload | delta | resume | scroll
            | unexpected | link | checkout | payment | card | push | activation | email | unsubscribe | download
            | share | signup | purchase | order | cart | batch | job | skip | antiforgery | captcha | recaptcha
            | idempotency | transfer | cursor | change | watch | callback | webhook | output | input | completion
            | prompt | maximum | context | state | game | chat | room | stream | hubspotutk => THEIRS;
        coupon | voucher | trial | subscription | license | licence | plan | offer | promotion | promo | certificate
            | domain | contract | deal | membership | warranty | ticket | quote | otp | cards | coupons => THING;
        expired | expiry | expire | stale | lapsed => EXPIRED;
        invalid | malformed | incorrect | unknown | unrecognized | unrecognised | wrong | illegal | bad | rejected
            | unverifiable | undecodable | corrupt | corrupted => INVALID;
        valid | active | found | exist | exists | recognized | recognised | known | accepted | validate | validated
            | verify | verified => VALID;
        revoked | blacklisted | invalidated | deactivated | withdrawn | deleted | removed => REVOKED;
        missing => MISSING | LACK;
        required | requires | require => MISSING | LACK | MUST;
        provided | supplied | present | specified | given => PROVIDED;
        unauthenticated => UNAUTHENTICATED;
        logged | signed => SIGNED_IN;
        scope | scopes => SCOPE;
        insufficient | lack | lacks | lacking | need | needs | needed | outside | expected | beyond | inadequate => LACK;
        permission | permissions | privilege | privileges | entitlement | entitlements => PERMISSION | RIGHT;
        forbidden | denied | unauthorized | unauthorised | prohibited => PERMISSION;
        allowed | permitted | authorized | authorised | enough | have | granted => ALLOWED;
        rate | frequency => RATE;
        limit | limits | limited | limiting => LIMIT;
        ratelimit | ratelimited | ratelimiting | throttle | throttled | throttling => THROTTLED;
        quota | quotas => QUOTA;
        request | requests | call | calls | attempts => REQUESTS;
        usage | daily | hourly | minute | application => USAGE;
        many => MANY;
        exceeded | exceeds | reach | reached | exhausted | exceed | exceeding => EXCEEDED;
        size | length | body | bytes | characters | upto => SIZE;
        factor => FACTOR;
        two | multi | second => SECOND;
        mfa | _2fa | totp | twofactor | multifactor | webauthn => MFA;
        saml | sso => SSO;
        must | enforced | enforcement => MUST;
        key | keys => KEY;
        apikey | apikeys => API_KEY;
        client | consumer => CLIENT;
        secret | secrets => SECRET;
        not | no | isn | doesn | didn | couldn | wasn | hasn | cannot | without | unable | never | don | t => NOT;
        yet => YET;
        refresh => REFRESH;
        refreshtoken => REFRESH | TOKEN;
        failed | failure | fails | error => FAILED;
        supported | enabled => SUPPORTED;
        disabled | unsupported => SUPPORTED | NOT;
        signature => SIGNATURE;
        clock | skew | skewed | iat | timeframe => CLOCK;
        assertion => ASSERTION;
        count | per | budget | usages => AMOUNT;
        slow => SLOW;
        down => DOWN;
        header => HEADER;
        step => STEP;
        stepup => STEP | UP;
        up => UP;
        grant => GRANT;
    }
}

/// What the walk over a text has gathered.
struct Walk {
    /// Every atom met.
    met: u64,
    /// Atoms of the word before.
    before: u64,
    /// How many more words a negation reaches.
    negated: u8,
    /// What was understood of words that stand together.
    says: Reading,
    /// How many words have been read.
    place: u16,
    /// Where "invalid" or the like stood last, and where a token or its kin did.
    invalid_at: Option<u16>,
    subject_at: Option<u16>,
    /// Whether the two ever stood near each other.
    near: bool,
}

/// How far apart "invalid" and "token" may stand in a sentence that speaks of permissions too.
const NEAR_WORDS: u16 = 5;

/// How many words a "not" reaches: "is no longer valid", "could not be found".
const NEGATION_WORDS: u8 = 4;

/// Reads a code or a sentence. Escapes of JSON and of forms separate words.
pub(crate) fn read_text(text: &[u8]) -> Reading {
    let text = text.get(..TEXT_BYTES_MAX).unwrap_or(text);
    let mut walk = Walk {
        met: 0,
        before: 0,
        negated: 0,
        says: Reading::default(),
        place: 0,
        invalid_at: None,
        subject_at: None,
        near: false,
    };
    let mut word: Word = 0;
    let mut last = 0_u8;
    let mut at = 0;
    while at < text.len() {
        let byte = text[at];
        at += 1;
        if byte.is_ascii_alphanumeric() {
            // `ExpiredToken`: a capital after a small letter begins a word.
            if byte.is_ascii_uppercase() && last.is_ascii_lowercase() {
                walk.word(word);
                word = 0;
            }
            // Words longer than sixteen bytes keep their first sixteen.
            if word >> 120 == 0 {
                word = (word << 8) | Word::from(byte.to_ascii_lowercase());
            }
        } else {
            if word != 0 {
                walk.word(word);
                word = 0;
            }
            match byte {
                b'.' | b';' | b'!' => walk.negated = 0,
                b'\\' => at += if text.get(at) == Some(&b'u') { 5 } else { 1 },
                b'%' => at += 2,
                _ => {}
            }
        }
        last = byte;
    }
    if word != 0 {
        walk.word(word);
    }
    walk.finish()
}

impl Walk {
    fn say(&mut self, what: Reading) {
        self.says = self.says.and(what);
    }

    fn word(&mut self, word: Word) {
        let atoms = atoms(word);
        if atoms & (TOKEN | SESSION | CREDENTIAL | JWT | KEY | THEIRS | SECRET | GRANT | AMOUNT) != 0 {
            self.subject(atoms);
        }
        if atoms & NOT != 0 {
            self.negated = NEGATION_WORDS;
        } else if atoms & YET != 0 {
            self.negated = 0;
            // "not yet valid" is said of a token that will be: take the "not valid" back.
            self.met |= YET;
        }
        if self.negated > 0 {
            self.negated -= 1;
            self.denial(atoms);
        } else if atoms & PERMISSION != 0 {
            self.say(Reading::DENIED);
        }
        self.place = self.place.saturating_add(1);
        let invalid = atoms & INVALID != 0 || (atoms & VALID != 0 && self.negated > 0);
        if invalid {
            self.invalid_at = Some(self.place);
        }
        if atoms & (TOKEN | JWT | SESSION | CREDENTIAL) != 0 {
            self.subject_at = Some(self.place);
        }
        if let (Some(invalid_at), Some(subject_at)) = (self.invalid_at, self.subject_at) {
            self.near |= invalid_at.abs_diff(subject_at) <= NEAR_WORDS;
        }
        self.met |= atoms;
        self.before = atoms;
    }

    /// A word that is said to be not so.
    fn denial(&mut self, atoms: u64) {
        if atoms & VALID != 0 {
            self.say(Reading::INVALID);
        }
        if atoms & PROVIDED != 0 {
            self.say(Reading::MISSING);
        }
        if atoms & SIGNED_IN != 0 {
            self.say(Reading::UNAUTHENTICATED);
        }
        if atoms & (ALLOWED | PERMISSION) != 0 {
            self.say(Reading::DENIED);
        }
        if atoms & SUPPORTED != 0 {
            self.say(Reading::UNSUPPORTED);
        }
        if atoms & RIGHT != 0 {
            self.say(Reading::NO_PERMISSION);
        }
        if atoms & (TOKEN | JWT | CREDENTIAL) != 0 && self.negated + 1 >= NEGATION_WORDS - 2 {
            self.say(Reading::MISSING);
        }
    }

    /// A noun that can expire or be invalid; the word before it says whose it is.
    fn subject(&mut self, atoms: u64) {
        let before = self.before;
        if atoms & JWT != 0 {
            self.say(Reading::ACCESS);
        } else if atoms & (REFRESH | TOKEN) == REFRESH | TOKEN || (atoms & TOKEN != 0 && before & REFRESH != 0) {
            self.say(Reading::REFRESH);
        } else if atoms & (TOKEN | SESSION | CREDENTIAL | GRANT) != 0 {
            if before & THEIRS != 0 {
                self.say(Reading::FOREIGN);
            } else if before & CLIENT != 0 && atoms & CREDENTIAL != 0 {
                self.say(Reading::CLIENT);
            } else if before & (OURS | JWT) != 0 {
                self.say(Reading::ACCESS);
            } else if atoms & (PLURAL | GRANT) == 0 {
                self.say(Reading::PLAIN);
            }
        } else if atoms & AMOUNT != 0 && before & TOKEN != 0 {
            self.say(Reading::FOREIGN);
        } else if atoms & KEY != 0 && before & API != 0 {
            self.say(Reading::API_KEY);
        } else if atoms & SECRET != 0 && before & CLIENT != 0 {
            self.say(Reading::CLIENT);
        } else if atoms & THEIRS != 0 && before & REFRESH != 0 {
            self.say(Reading::FOREIGN);
        }
    }

    fn finish(mut self) -> Reading {
        const PAIRS: [(u64, Reading); 4] = [
            (EXPIRED, Reading::EXPIRED),
            (REVOKED, Reading::REVOKED),
            (THING, Reading::FOREIGN),
            (API_KEY, Reading::API_KEY),
        ];
        const COMBINATIONS: [(u64, Reading); 26] = [
            (THROTTLED, Reading::RATE),
            (RATE | LIMIT, Reading::RATE),
            (RATE | EXCEEDED, Reading::RATE),
            (MANY | REQUESTS, Reading::RATE),
            (QUOTA | EXCEEDED, Reading::RATE),
            (QUOTA | LIMIT | EXCEEDED, Reading::RATE),
            (REQUESTS | LIMIT | EXCEEDED, Reading::RATE),
            (RIGHT | LACK, Reading::NO_PERMISSION),
            (USAGE | LIMIT | EXCEEDED, Reading::RATE),
            (API | LIMIT | EXCEEDED, Reading::RATE),
            (SLOW | DOWN, Reading::RATE),
            (SECOND | FACTOR, Reading::STEP_UP),
            (MFA, Reading::STEP_UP),
            (STEP | UP, Reading::STEP_UP),
            (SSO | MUST, Reading::STEP_UP),
            (SIGNED_IN | FAILED, Reading::UNAUTHENTICATED),
            (SIGNED_IN | MUST, Reading::UNAUTHENTICATED),
            (UNAUTHENTICATED, Reading::UNAUTHENTICATED),
            (AUTHORIZATION | HEADER, Reading::UNAUTHENTICATED),
            (CLIENT | INVALID, Reading::CLIENT),
            (ASSERTION, Reading::ASSERTION),
            (CLOCK, Reading::ASSERTION),
            (JWT | SIGNATURE, Reading::ASSERTION),
            (CREDENTIAL, Reading::CREDENTIALS),
            // What PyJWT and its users say of a token.
            (SIGNATURE | EXPIRED, Reading::PLAIN),
            (SCOPE | INVALID, Reading::SCOPE_INVALID),
        ];
        for (atoms, meaning) in PAIRS.into_iter().chain(COMBINATIONS) {
            if self.met & atoms == atoms && !(meaning == Reading::RATE && self.met & SIZE != 0) {
                self.say(meaning);
            }
        }
        if self.met & INVALID != 0 {
            self.say(Reading::INVALID);
        }
        if self.met & MISSING != 0 {
            self.say(Reading::MISSING);
        }
        if self.met & SCOPE != 0 && self.met & (LACK | NOT) != 0 {
            self.say(Reading::SCOPE_LACKING);
        }
        // "Invalid permissions … check your token" does not call the token invalid.
        if self.says.says(Reading::DENIED) && !self.near {
            self.says = self.says.without(Reading::INVALID);
        }
        self.says
    }
}

/// What a text says of the access token, if anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenSaid {
    /// It has run out, and nothing else is said of it.
    Expired,
    /// It is refused for another reason, or for one of several.
    Refused,
}

impl Reading {
    /// What is said of the access token; `named` asks that it be called by its name and not just
    /// "token", for replies that are not refusals of authorization by their status.
    pub(crate) const fn of_access_token(self, named: bool) -> Option<TokenSaid> {
        let subject = if named || self.says(Self::FOREIGN) { Self::ACCESS } else { Self::ACCESS.and(Self::PLAIN) };
        if !self.says_any(subject) {
            return None;
        }
        let refused = self.says_any(Self::INVALID.and(Self::REVOKED));
        match (self.says(Self::EXPIRED), refused || self.says(Self::MISSING)) {
            (true, _) if !refused => Some(TokenSaid::Expired),
            (_, true) => Some(TokenSaid::Refused),
            _ => None,
        }
    }
}
