//! Where a configured secret comes from. Nothing is read before it is needed.

use super::document::{Document, Located, Table};
use super::{ConfigError, Environment};
use outlast::Secret;
use std::fmt;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use toml::de::DeValue;

/// Longest secret that is read, in bytes.
const SECRET_BYTES_MAX: u64 = 64 * 1024;
/// For how long a command may think.
const COMMAND_TIME_MAX: Duration = Duration::from_secs(10);
/// How often a command that has closed its output is looked at for its end.
const COMMAND_LOOK_EVERY: Duration = Duration::from_millis(10);
/// For how long the key store is waited for, prompts and all.
const KEYRING_TIME_MAX: Duration = Duration::from_secs(2);
/// Bits of a file's mode that let others in.
const OTHERS: u32 = 0o077;

const KINDS: &[&str] = &["command", "env", "file", "keyring"];

/// Where a secret comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// What a program writes to its standard output; program and arguments, never given to a shell.
    Command(Vec<String>),
    /// A variable of the environment.
    Environment(String),
    /// A file that only its owner may read.
    File(PathBuf),
    /// An entry of the desktop's key store.
    Keyring {
        /// The entry's service.
        service: String,
        /// The entry's user.
        user: String,
    },
    /// The configuration file itself; only where nobody else may read that.
    Plain(Secret),
}

/// Why a secret cannot be had. Holds nothing of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unavailable {
    pub(crate) detail: String,
    pub(crate) mend: String,
}

impl SecretSource {
    /// Reads a source from `key` of `table`, where it is set.
    pub(crate) fn read(table: Table<'_>, key: &str) -> Result<Option<Located<Self>>, ConfigError> {
        let Some(value) = table.get(key) else { return Ok(None) };
        let span = value.span();
        let document = table.document;
        let source = match value.get_ref() {
            DeValue::String(text) if text.is_empty() => {
                return Err(document.error(&span, format!("`{key}` in {} is empty", table.name), "remove the line"));
            }
            DeValue::String(text) => Self::Plain(Secret::new(text.as_ref())),
            DeValue::Table(entries) => {
                let name = format!("`{key}` of {}", table.name);
                let inner = Table { document, name: &name, entries };
                Self::from_table(inner, document, &span)?
            }
            _ => return Err(table.wrong_type(key, &span, "a source such as { env = \"NAME\" }")),
        };
        Ok(Some(Located { value: source, span }))
    }

    fn from_table(
        table: Table<'_>,
        document: Document<'_>,
        span: &std::ops::Range<usize>,
    ) -> Result<Self, ConfigError> {
        table.expect_only_unrepeated(KINDS)?;
        if table.entries.len() != 1 {
            let detail = format!("{} has {} sources", table.name, table.entries.len());
            return Err(document.error(span, detail, "give exactly one of command, env, file, keyring"));
        }
        if let Some(name) = table.text("env")? {
            return Ok(Self::Environment(name.value));
        }
        if let Some(path) = table.text("file")? {
            return Ok(Self::File(PathBuf::from(path.value)));
        }
        if let Some(entry) = table.text("keyring")? {
            return match entry.value.split_once('/') {
                Some((service, user)) if !service.is_empty() && !user.is_empty() => {
                    Ok(Self::Keyring { service: service.to_owned(), user: user.to_owned() })
                }
                _ => Err(document.error(&entry.span, "`keyring` names no entry", "write it as \"service/user\"")),
            };
        }
        let argv = table.texts("command")?;
        match argv.first() {
            Some(program) if !program.is_empty() => Ok(Self::Command(argv)),
            _ => Err(document.error(span, "`command` names no program", "give a list: program, then arguments")),
        }
    }

    /// Fetches the secret. Relative paths start at `folder`, that of the configuration.
    pub(crate) fn resolve(&self, folder: &Path, environment: &Environment<'_>) -> Result<Secret, Unavailable> {
        let found = match self {
            Self::Command(argv) => from_command(argv)?,
            Self::Environment(name) => match environment(name) {
                Some(value) => Secret::new(value),
                None => {
                    return Err(Unavailable {
                        detail: format!("the environment variable {name} is not set"),
                        mend: format!("set {name} where Outlast is started"),
                    });
                }
            },
            Self::File(path) => from_file(&located(path, folder, environment))?,
            Self::Keyring { service, user } => from_keyring(service.clone(), user.clone())?,
            Self::Plain(secret) => secret.clone(),
        };
        if found.is_empty() {
            return Err(Unavailable {
                detail: format!("{self} holds an empty secret"),
                mend: "put it there".to_owned(),
            });
        }
        Ok(found)
    }
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // Arguments may hold what nobody should read.
            Self::Command(argv) => write!(f, "the command {}", argv.first().map_or("", String::as_str)),
            Self::Environment(name) => write!(f, "the environment variable {name}"),
            Self::File(path) => write!(f, "the file {}", path.display()),
            Self::Keyring { service, user } => write!(f, "the key store's entry {service}/{user}"),
            Self::Plain(_) => f.write_str("the configuration file"),
        }
    }
}

/// Whether others than the owner may read or write what has this mode.
pub(crate) fn open_to_others(mode: u32) -> bool {
    mode & OTHERS != 0
}

fn located(path: &Path, folder: &Path, environment: &Environment<'_>) -> PathBuf {
    match (path.strip_prefix("~"), environment("HOME")) {
        (Ok(rest), Some(home)) => Path::new(&home).join(rest),
        _ => folder.join(path),
    }
}

fn from_file(path: &Path) -> Result<Secret, Unavailable> {
    let shown = path.display();
    let unreadable = |cause: &std::io::Error| Unavailable {
        detail: format!("the secret file {shown} cannot be read: {}", cause.kind()),
        mend: "create it, readable by its owner alone".to_owned(),
    };
    // Opened once and judged by the handle: what is checked is what is read.
    let mut file = std::fs::File::open(path).map_err(|cause| unreadable(&cause))?;
    let about = file.metadata().map_err(|cause| unreadable(&cause))?;
    if !about.is_file() {
        return Err(Unavailable { detail: format!("{shown} is no file"), mend: "name a regular file".to_owned() });
    }
    if open_to_others(about.permissions().mode()) {
        return Err(Unavailable {
            detail: format!("the secret file {shown} is open to others than its owner"),
            mend: format!("run: chmod 600 {shown}"),
        });
    }
    read_text(&mut file, &format!("the secret file {shown}"))
}

fn read_text(from: &mut impl Read, name: &str) -> Result<Secret, Unavailable> {
    let mut text = String::new();
    let unusable = |detail: String| Unavailable { detail, mend: "put the secret alone there, as text".to_owned() };
    let read = from.take(SECRET_BYTES_MAX + 1).read_to_string(&mut text);
    let length = read.map_err(|cause| unusable(format!("{name} is not readable as text: {}", cause.kind())))?;
    if u64::try_from(length).unwrap_or(u64::MAX) > SECRET_BYTES_MAX {
        return Err(unusable(format!("{name} is longer than {SECRET_BYTES_MAX} bytes")));
    }
    let end = text.trim_end_matches(['\r', '\n']).len();
    text.truncate(end);
    Ok(Secret::new(text))
}

fn from_command(argv: &[String]) -> Result<Secret, Unavailable> {
    let [program, arguments @ ..] = argv else {
        return Err(Unavailable { detail: "the command names no program".to_owned(), mend: "name one".to_owned() });
    };
    let failed = |detail: &str| Unavailable {
        detail: format!("the secret command {program} {detail}"),
        mend: "run it by hand to see why; it has to print the secret and exit with 0".to_owned(),
    };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|cause| failed(&format!("cannot be started: {}", cause.kind())))?;
    let output = read_output(&mut child);
    let ended = output.as_ref().is_some_and(|_| ends_in_time(&mut child));
    if !ended {
        // It may have ended on its own by now; then there is nothing to kill.
        let _ = child.kill();
    }
    let status = child.wait().map_err(|_| failed("cannot be waited for"))?;
    match output {
        None => Err(failed("printed nothing within 10 s")),
        // First: who prints more than is read may well fail of that.
        Some(Err(unusable)) => Err(unusable),
        Some(_) if !ended => Err(failed("did not end within 10 s")),
        Some(_) if !status.success() => Err(failed(&format!("failed ({status})"))),
        Some(secret) => secret,
    }
}

/// What the child writes until it closes its output; nothing if that takes too long.
fn read_output(child: &mut Child) -> Option<Result<Secret, Unavailable>> {
    let mut stdout = child.stdout.take()?;
    let (answer, answered) = mpsc::channel();
    // Nobody may be listening any more: then the answer was too late.
    let reading = move || drop(answer.send(read_text(&mut stdout, "the command's output")));
    std::thread::Builder::new().name("outlast-secret".to_owned()).spawn(reading).ok()?;
    answered.recv_timeout(COMMAND_TIME_MAX).ok()
}

fn ends_in_time(child: &mut Child) -> bool {
    let looks = COMMAND_TIME_MAX.as_millis() / COMMAND_LOOK_EVERY.as_millis();
    let (_silent, pause) = mpsc::channel::<()>();
    (0..looks).any(|look| {
        if look > 0 {
            // Nothing is ever sent: this is a pause.
            let _ = pause.recv_timeout(COMMAND_LOOK_EVERY);
        }
        matches!(child.try_wait(), Ok(Some(_)))
    })
}

fn from_keyring(service: String, user: String) -> Result<Secret, Unavailable> {
    let failed = |detail: &str| Unavailable {
        detail: format!("the key store's entry cannot be read: {detail}"),
        mend: "start and unlock the key store, or use { env = … }, { file = … } or { command = … }".to_owned(),
    };
    let (answer, answered) = mpsc::channel();
    // A call over D-Bus cannot be called off: it gets a thread of its own and is left behind if it hangs.
    let asking = move || drop(answer.send(ask_keyring(&service, &user)));
    let thread = std::thread::Builder::new().name("outlast-keyring".to_owned()).spawn(asking);
    thread.map_err(|_| failed("no thread to ask it on"))?;
    match answered.recv_timeout(KEYRING_TIME_MAX) {
        Ok(Ok(secret)) => Ok(secret),
        Ok(Err(detail)) => Err(failed(detail)),
        Err(_) => Err(failed("no answer within 2 s")),
    }
}

/// The platform's own errors may carry what was read: only their kind is told.
fn ask_keyring(service: &str, user: &str) -> Result<Secret, &'static str> {
    use keyring_core::api::CredentialStoreApi;
    use zbus_secret_service_keyring_store::Store;
    let store = Store::new().map_err(|_| "no key store can be reached")?;
    let entry = store.build(service, user, None).map_err(|_| "the key store refused")?;
    entry.get_password().map(Secret::new).map_err(|cause| match cause {
        keyring_core::Error::NoEntry => "there is no such entry",
        keyring_core::Error::NoStorageAccess(_) => "the key store is locked",
        _ => "the key store refused",
    })
}
