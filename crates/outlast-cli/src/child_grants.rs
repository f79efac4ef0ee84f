//! What a program is given to use its grants with: a sidecar of its own, and a token file for each.

use crate::context::Context;
use crate::exit::Fault;
use crate::local_sidecar::LocalSidecar;
use crate::private_folder::PrivateFolder;
use crate::words;
use outlast::task::Task;
use outlast::{Code, GrantId, Keeper, Secret};
use outlast_daemon::token_file::TokenFiles;
use outlast_daemon::{Recording, TaskReach};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tokio::process::Command;

/// Where the token files lie in the folder of a run.
const TOKENS: &str = "tokens";

/// A grant the program may use.
pub(crate) struct Wanted {
    pub(crate) id: GrantId,
    /// The variable that names its token file.
    variable: String,
}

/// The grants that arguments such as `crm` and `crm=CRM_TOKEN_FILE` name; all that are configured where none
/// is named, if `all_if_none`. Needs none of their secrets.
pub(crate) fn wanted(context: &Context, arguments: &[String], all_if_none: bool) -> Result<Vec<Wanted>, Fault> {
    let named: Vec<(String, Option<String>)> = arguments.iter().map(|text| split(text)).collect();
    let mut names: Vec<String> = named.iter().map(|(name, _)| name.clone()).collect();
    names.sort();
    names.dedup();
    if names.is_empty() && all_if_none {
        names = context.config.entries().iter().map(|entry| entry.id.to_string()).collect();
    }
    let settings = context.without_secrets(&names)?;
    let wanted: Vec<Wanted> = settings.iter().map(|grant| one(&grant.id, &named)).collect::<Result<_, _>>()?;
    no_clash(&wanted)?;
    Ok(wanted)
}

fn split(text: &str) -> (String, Option<String>) {
    match text.split_once('=') {
        Some((name, variable)) => (name.to_owned(), Some(variable.to_owned())),
        None => (text.to_owned(), None),
    }
}

fn one(id: &GrantId, named: &[(String, Option<String>)]) -> Result<Wanted, Fault> {
    let given = named.iter().find(|(name, _)| name == id.as_str()).and_then(|(_, variable)| variable.clone());
    let variable = given.unwrap_or_else(|| format!("OUTLAST_{}_TOKEN_FILE", words::variable_part(id.as_str())));
    let starts_well = variable.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if starts_well && variable.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Ok(Wanted { id: id.clone(), variable });
    }
    Err(Fault::new(Code::ConfigurationInvalid, format!("{variable:?} is no name of an environment variable"))
        .mend("use letters, digits and '_', such as --grant crm=CRM_TOKEN_FILE"))
}

/// Two grants with one variable: the program would use the one and mean the other.
fn no_clash(wanted: &[Wanted]) -> Result<(), Fault> {
    let (mut addresses, mut files) = (BTreeMap::new(), BTreeMap::new());
    for Wanted { id, variable } in wanted {
        let address = format!("OUTLAST_{}_URL", words::variable_part(id.as_str()));
        let earlier = addresses.insert(address.clone(), id).map(|earlier| (earlier, address));
        let earlier = earlier.or_else(|| files.insert(variable, id).map(|earlier| (earlier, variable.clone())));
        if let Some((earlier, name)) = earlier {
            let text = format!("grants {earlier} and {id} would share the environment variable {name}");
            return Err(Fault::new(Code::ConfigurationInvalid, text)
                .mend("name one of them with --grant, or rename the other in the configuration"));
        }
    }
    Ok(())
}

/// A sidecar and token files, for as long as a program runs.
pub(crate) struct ChildGrants {
    wanted: Vec<Wanted>,
    sidecar: LocalSidecar,
    files: TokenFiles,
    _folder: PrivateFolder,
}

impl ChildGrants {
    /// Starts a sidecar, and writes the token files.
    pub(crate) async fn start(
        keeper: &Keeper,
        folder: PrivateFolder,
        wanted: Vec<Wanted>,
        hold: Duration,
        tasks: TaskReach,
    ) -> Result<Self, Fault> {
        let sidecar = LocalSidecar::start(keeper.clone(), folder.path(), hold, tasks).await?;
        let files = token_files(keeper, folder.path(), &wanted).await?;
        Ok(Self { wanted, sidecar, files, _folder: folder })
    }

    /// Records what the program that is started next asks for, as steps of `task`.
    pub(crate) async fn record(&mut self, task: Task, repeatable: Vec<GrantId>) -> Result<Recording, Fault> {
        self.sidecar.record(task, repeatable).await
    }

    /// Tells the program what it needs to know.
    pub(crate) fn describe(&self, command: &mut Command) {
        let sidecar = &self.sidecar;
        command.env("OUTLAST_SOCKET", sidecar.socket());
        command.env("OUTLAST_CAPABILITY", revealed(sidecar.capability()));
        command.env("OUTLAST_URL", sidecar.url());
        for grant in &self.wanted {
            let part = words::variable_part(grant.id.as_str());
            command.env(format!("OUTLAST_{part}_URL"), format!("{}/{}", sidecar.url(), grant.id));
            if let Some(path) = self.files.path(&grant.id) {
                command.env(&grant.variable, path);
            }
        }
    }

    /// Stops the sidecar, and lets what is under way come to its end.
    pub(crate) async fn stop(self) {
        let Self { sidecar, files, .. } = self;
        drop(files);
        sidecar.stop().await;
    }
}

/// Lets the program use the grants of the runner that it inherits the environment of: their files lie in its
/// `folder`, and have other names than what was asked for.
pub(crate) fn inherit(wanted: &[Wanted], folder: &Path, command: &mut Command) {
    for grant in wanted {
        command.env(&grant.variable, folder.join(TOKENS).join(grant.id.as_str()));
    }
}

async fn token_files(keeper: &Keeper, folder: &Path, wanted: &[Wanted]) -> Result<TokenFiles, Fault> {
    let ids: Vec<GrantId> = wanted.iter().map(|grant| grant.id.clone()).collect();
    let started = TokenFiles::start(keeper, &folder.join(TOKENS), &ids).await;
    started.map_err(|cause| {
        Fault::new(Code::StoreUnwritable, format!("the token files cannot be written: {cause}"))
            .mend("make room in the folder for temporary files, or set TMPDIR to another")
    })
}

/// A capability opens this sidecar and nothing else; the child has to be told it.
fn revealed(capability: &Secret) -> &str {
    capability.expose()
}
