"""The codes of findings about remote execution with their meanings."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

LINT: Mapping[str, str] = MappingProxyType(
    {
        "rbe.lint.good": "the eligibility manifest has no fault",
        "rbe.lint.document": "the manifest is no JSON object",
        "rbe.lint.key-twice": "a key stands twice in one object of the manifest",
        "rbe.lint.schema": "the manifest's schema_version is not 1",
        "rbe.lint.owner": "the manifest names no owner_issue",
        "rbe.lint.updated": "the manifest does not say when it was updated",
        "rbe.lint.platform": "the manifest names no platform",
        "rbe.lint.platform-name": "the platform's name has none of the known endings",
        "rbe.lint.posture": "default_posture does not say cache-forward",
        "rbe.lint.section": "a list of target classes is missing",
        "rbe.lint.section-empty": "the candidate or the blocked classes are empty",
        "rbe.lint.class": "an entry among the target classes is no object",
        "rbe.lint.name": "a class has no name",
        "rbe.lint.name-twice": "two classes have one name",
        "rbe.lint.labels": "a class has no labels, or one that is no text",
        "rbe.lint.label-colon": "a label of Bazel's has no colon",
        "rbe.lint.label-sections": "a label stands in two sections",
        "rbe.lint.label-twice": "a label stands twice in one section",
        "rbe.lint.status": "a class's status is neither candidate nor proved",
        "rbe.lint.status-section": "a class's status is not that of its section",
        "rbe.lint.list": "a class lacks allowed_modes, requirements or proof_required",
        "rbe.lint.remote-processes": "no proof_required speaks of remote processes",
        "rbe.lint.boundary": "a class has no boundary",
        "rbe.lint.blockers": "a blocked class does not say what blocks it",
        "rbe.lint.invariants": "invariants is no list of texts",
        "rbe.lint.invariant-missing": "the invariants leave out a subject",
    }
)

DOCUMENTS: Mapping[str, str] = MappingProxyType(
    {
        "rbe.document.unknown-key": "evidence has a key that is not known",
        "rbe.document.missing-key": "evidence lacks a key",
        "rbe.document.type": "a value of the evidence is of another type",
        "rbe.document.boolean": "a number of the evidence is a boolean, or the other way round",
        "rbe.document.value": "a value of the evidence is none that it may have",
        "rbe.evidence.file-link": "a link or a directory lies in place of a file of the evidence",
        "rbe.evidence.file-missing": "a file that the evidence lists is not there",
        "rbe.evidence.file-unread": "a file of the evidence cannot be read",
        "rbe.evidence.file-digest": "a file is not the one that the evidence lists",
        "rbe.evidence.file-unlisted": "a file lies in the directory that the evidence does not list",
        "rbe.evidence.role-twice": "two files are listed for one role",
        "rbe.evidence.role-missing": "the evidence lacks a file that a proof is made from",
        "rbe.evidence.statement-missing": "the statement beside the evidence is not there",
        "rbe.evidence.statement-type": "the statement is of another type, or has another predicate",
        "rbe.evidence.statement-subject": "the statement is about another document",
        "rbe.evidence.statement-told": "the statement says other than follows from the evidence",
        "rbe.evidence.statement-failed": "the statement says that the proof failed",
        "rbe.verify.unsigned": "the statement is not signed, and no signature was checked",
        "rbe.verify.as-told": "what the document tells, and nothing beside it shows",
        "rbe.verify.signature": "the attestation's signature was not checked",
        "rbe.verify.not-beside": "what a proof result names is not beside it, and was not checked",
        "rbe.verify.unattested": "no attestation lies beside the proof result",
        "rbe.verify.required": "good evidence, and not of what was required",
    }
)

LOGS: Mapping[str, str] = MappingProxyType(
    {
        "rbe.log.truncated": "the execution log ends inside a record",
        "rbe.log.unreadable": "the execution log is none",
        "rbe.log.calls-truncated": "the log of remote calls ends inside an entry",
        "rbe.log.calls": "the log of remote calls is none",
        "rbe.log.events": "the event file is none",
    }
)

PROOF: Mapping[str, str] = MappingProxyType(
    {
        "rbe.proof.executed": "actions of the target were executed remotely in this run",
        "rbe.proof.not-executed": "no action of the target was executed",
        "rbe.proof.build-failed": "the build failed",
        "rbe.proof.no-summary": "Bazel printed no count of processes",
        "rbe.proof.internal-only": "only Bazel's own work was done",
        "rbe.proof.no-spawn": "no action of the target is in the logs",
        "rbe.proof.cache-hit": "the target came out of the remote cache",
        "rbe.proof.hit-claimed": "a spawn says both that it ran remotely and that a cache had it",
        "rbe.proof.cached-result": "the server says that it took the result out of its cache",
        "rbe.proof.local": "the target was built on the machine that asked",
        "rbe.proof.fallback": "other actions fell back to the machine that asked",
        "rbe.proof.spawn-failed": "an action of the target failed on the executor",
        "rbe.proof.not-run": "an action of the target never ran on the executor",
        "rbe.proof.disk-cache": "results came out of a disk cache",
        "rbe.proof.disk-cache-set": "the build had a disk cache",
        "rbe.proof.output-base": "the output base was not a fresh one",
        "rbe.proof.nonce-malformed": "the nonce is none",
        "rbe.proof.nonce-run": "the nonce is of another run",
        "rbe.proof.nonce-time": "the nonce was made outside of the run",
        "rbe.proof.nonce-missing": "the nonce is not in the action's environment or arguments",
        "rbe.proof.no-options": "nothing says with which options was built",
        "rbe.proof.accepted-cache": "the build accepted cached results",
        "rbe.proof.fallback-allowed": "the build might have fallen back to the machine that asked",
        "rbe.proof.no-executor": "the build had no executor",
        "rbe.proof.executor-other": "the build went to another executor than the evidence names",
        "rbe.proof.cache-other": "the build had another cache than the evidence names",
        "rbe.proof.summary-sum": "the parts of Bazel's summary do not add up",
        "rbe.proof.summary-disagrees": "the summary and the execution log count differently",
        "rbe.proof.events-disagree": "the event file and the summary count differently",
        "rbe.proof.no-calls": "there is no log of remote calls",
        "rbe.proof.target-not-called": "no call of Execute was made for the target",
        "rbe.proof.calls-disagree": "the log of calls and the execution log tell of different actions",
        "rbe.proof.invocation": "the logs are of two commands",
        "rbe.proof.worker-early": "a worker began an action before the build did",
        "rbe.proof.platform": "actions were executed on another platform than the manifest's",
        "rbe.proof.manifest-other": "the manifest in the directory is not the one that the evidence names",
        "rbe.proof.manifest-faults": "the manifest in the directory has faults",
        "rbe.proof.manifest-platform": "the evidence and its manifest name different platforms",
        "rbe.proof.manifest-changed": "the manifest was changed since the proof",
        "rbe.proof.no-longer": "the target is not eligible any more",
        "rbe.proof.target-unlisted": "the manifest does not list the target",
        "rbe.proof.target-blocked": "the manifest blocks the target",
        "rbe.proof.standing": "the evidence claims another standing than the manifest gives",
        "rbe.proof.boundary": "the evidence tells another boundary than follows from the manifest",
        "rbe.proof.workers-unseen": "no worker pod was looked at",
        "rbe.proof.workers-missing": "the evidence speaks of workers, and what was seen of them is not there",
        "rbe.proof.workers-none": "no worker was there before the build",
        "rbe.proof.workers-told": "the evidence tells other workers or restarts than were seen",
        "rbe.proof.worker-gone": "a worker was gone after the build",
        "rbe.proof.worker-replaced": "a worker is another pod of the same name",
        "rbe.proof.worker-container": "a worker's container is another one",
        "rbe.proof.worker-restarted": "a worker was restarted",
        "rbe.proof.worker-late": "a worker's container was started after the proof was",
        "rbe.proof.worker-appeared": "a worker was not there before the build",
        "rbe.proof.image-unknown": "nothing says which image a worker runs",
        "rbe.proof.image-unsaid": "an image was meant, and the evidence names none",
        "rbe.proof.image-other": "a worker runs another image than was meant",
        "rbe.proof.image-not-run": "the evidence names an image that no worker ran",
        "rbe.proof.control-missing": "a negative control was not made",
        "rbe.proof.control-executed": "with its cache accepted the build counts as executed",
        "rbe.proof.control-other": "the build with its cache accepted has another nonce than the proof",
        "rbe.proof.control-failed": "the control with the cache accepted did not build",
        "rbe.proof.control-built": "without an executor the build did not fail",
        "rbe.proof.control-told": "the evidence tells other counts of a control than its log",
        "rbe.proof.control-unheld": "the evidence says itself that a control did not hold",
        "rbe.proof.summary-told": "the evidence has another summary than Bazel printed",
        "rbe.proof.counts-told": "the evidence counts other than its logs",
        "rbe.proof.mnemonics-told": "the evidence tells other mnemonics than its log",
        "rbe.proof.invocation-told": "the evidence names another invocation than its event file",
        "rbe.proof.exit-told": "the evidence tells another exit code than its event file",
        "rbe.proof.command-told": "the evidence tells another command than its event file",
        "rbe.proof.remote-workers-told": "the evidence tells other workers than the server named",
        "rbe.proof.times": "the moments of the evidence are in no order",
        "rbe.proof.unforced": "the evidence says that nothing was forced",
        "rbe.proof.commit-unknown": "the evidence names no commit",
        "rbe.proof.commit-modified": "the checkout had changes that are in no commit",
    }
)

RESULT: Mapping[str, str] = MappingProxyType(
    {
        "rbe.result.countable": "the proof result counts as a remote execution",
        "rbe.result.uncountable": "the proof result says that it does not count",
        "rbe.result.unforced": "the proof result says that nothing was forced",
        "rbe.result.build-failed": "the proof result is of a build that failed",
        "rbe.result.no-executor": "the proof result is of a build without an executor",
        "rbe.result.no-cache": "the proof result is of a build without a cache",
        "rbe.result.no-worker-log": "the worker left no log of its executions",
        "rbe.result.capture": "what was captured of the cluster is not bounded",
        "rbe.result.cache-hits": "the proof result is of cache hits only",
        "rbe.result.exit-status": "the proof ended with another code than 0",
        "rbe.result.no-process": "the proof result counts no remote process",
        "rbe.result.image-differs": "the worker's image is not the one that was dispatched",
        "rbe.result.count": "the worker tells of more executions than Bazel",
        "rbe.result.no-execution": "the worker tells of no execution",
        "rbe.result.target": "the worker's evidence is of another target",
        "rbe.result.closure": "the worker has another closure than was asked for",
        "rbe.result.run": "the proof result's run is no number",
        "rbe.result.outputs": "the list of exported outputs is another",
        "rbe.result.outputs-order": "the exported outputs are not sorted",
        "rbe.result.outputs-digest": "the list of exported outputs was changed",
        "rbe.result.output-link": "an exported output is a link, lies behind one, or is no file",
        "rbe.result.output-digest": "an exported output was changed",
        "rbe.result.attestation": "the attestation is none",
        "rbe.result.predicate": "the attestation has another predicate",
        "rbe.result.subject": "the attestation is about another file",
    }
)

CLAIMS: Mapping[str, str] = MappingProxyType(
    {
        "rbe.claim.none": "no document claims more than manifest and evidence carry",
        "rbe.claim.label": "a document claims remote execution of a target that is not proved",
        "rbe.claim.blocked": "a document claims remote execution of what the manifest blocks",
        "rbe.claim.class": "a document claims remote execution of a class that is not proved",
        "rbe.claim.broad": "a document claims remote execution of everything, or by default",
        "rbe.claim.count": "a document claims a count of remote processes that no evidence has",
        "rbe.claim.run": "a document names a run that no evidence is of",
        "rbe.claim.hits": "a document takes remote cache hits for remote execution",
        "rbe.claim.unnamed": "a document claims remote execution and names no target",
        "rbe.claim.undocumented": "no document names a class that is proved",
        "rbe.claim.mark": "a mark in a document is not closed",
    }
)

STEPS: Mapping[str, str] = MappingProxyType(
    {
        "rbe.targets.found": "Bazel said which targets there are",
        "rbe.targets.partly": "Bazel could not load all packages",
        "rbe.workers.seen": "the worker pods were looked at",
        "rbe.build.ended": "the forced build ended",
        "rbe.control.held": "a negative control failed, as it has to",
        "rbe.control.broken": "a negative control came out as no control may",
        "rbe.coverage.made": "the table was made from evidence",
        "rbe.coverage.unusable": "evidence was left out of the table, because it does not hold",
        "rbe.coverage.stale": "evidence in the table is older than it may be",
    }
)

#: Every code of a finding about remote execution.
FINDINGS: Mapping[str, str] = MappingProxyType(
    {**LINT, **DOCUMENTS, **LOGS, **PROOF, **RESULT, **CLAIMS, **STEPS}
)

ERRORS: Mapping[str, str] = MappingProxyType(
    {
        "rbe.workers.scaled-to-zero": "the executor is scaled to zero, as is normal while it is not used",
        "rbe.workers.none": "no worker pod is there",
        "rbe.prove.forward": "the forward to the executor leads to nothing",
        "bazel.query": "Bazel could not say which targets there are",
        "rbe.evidence.exists": "the directory for the evidence holds something already",
        "rbe.prove.service": "the Service of the executor is not named as one",
        "rbe.prove.log-format": "this Bazel writes no log of that kind",
        "rbe.claims.path": "a path that should be looked at for claims is not there",
        "rbe.manifest.missing": "there is no eligibility manifest",
        "rbe.manifest.several": "the workspace has two eligibility manifests",
        "rbe.manifest.unreadable": "the eligibility manifest is no JSON",
        "rbe.manifest.faults": "the eligibility manifest has faults",
        "rbe.evidence.missing": "there is no evidence at that path",
        "rbe.evidence.link": "a link or a directory lies where a document should",
        "rbe.evidence.unreadable": "a document of evidence is no JSON, or is cut off",
        "rbe.evidence.schema": "the evidence is of a schema that is not known",
        "rbe.result.schema": "the proof result is of a version that is not known",
        "rbe.target.wildcard": "the label stands for several targets, and a proof is of one",
        "rbe.prove.mode": "GF_RBE_PROOF_MODE does not ask for an execution proof",
        "rbe.prove.executor": "no executor is named",
        "rbe.prove.cache": "no cache is named beside the executor",
        "rbe.prove.substrate": "the mode is not executor-backed",
        "rbe.prove.class": "a class was named, and a proof is of one target",
        "rbe.prove.blocked": "the manifest blocks the target",
        "rbe.prove.candidate": "the target is a candidate, and nothing allowed that",
        "rbe.prove.unlisted": "the manifest does not list the target",
        "rbe.prove.explicit": "the class allows no explicit proof",
        "rbe.prove.executor-probes": "the executor did not pass its probes",
    }
)
