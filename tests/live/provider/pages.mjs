// What people see at the provider: short pages without a script and without anything from elsewhere.

const ESCAPES = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const escape = (text) => String(text).replace(/[&<>"']/g, (character) => ESCAPES[character]);

const page = (title, body) => `<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${title}</title>
<h1>${title}</h1>
${body}
</html>`;

export const loginPage = (uid) => page('Sign in', `
<form method="post" action="/interaction/${uid}/login">
<label>Name <input name="account" required></label>
<button>Sign in</button>
</form>`);

export const consentPage = (uid, client, scope) => page('Consent', `
<p>${escape(client)} asks for: ${escape(scope)}</p>
<form method="post" action="/interaction/${uid}/consent"><button>Allow</button></form>
<form method="post" action="/interaction/${uid}/abort"><button>Deny</button></form>`);

// The three pages of the device flow; the forms are the provider's own.
export const userCodePage = (form, problem) => page('Device', `
${problem ? '<p role="alert">This code is not known.</p>' : ''}
${form}<button form="op.deviceInputForm">Continue</button>`);

export const confirmCodePage = (form, client, code) => page('Confirm device', `
<p>${escape(client)} shows <code>${escape(code)}</code></p>
${form}<button form="op.deviceConfirmForm">Confirm</button>`);

export const devicePage = () => page('Device signed in', '');

export const errorPage = (out) => page('Error', `
<p role="alert">${escape(out.error)}: ${escape(out.error_description ?? '')}</p>`);
