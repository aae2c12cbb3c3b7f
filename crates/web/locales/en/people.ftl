# Signing in, the first start, invitations, new passwords, accounts and members.

people-email = E-mail address
people-name = Your name
people-password = Password
people-new-password = New password
people-password-hint = At least 12 characters. A sentence of several words is good; common passwords are refused.
people-language = Language
people-language-en = English
people-language-fr = Français
people-business = Name of the business
people-zone = Time zone
people-zone-hint = In which the days of the business begin and end, such as Europe/Paris.

people-email-invalid = Enter an e-mail address such as name@example.com.
people-name-invalid = Enter a name of 1 to 100 characters.
people-business-invalid = Enter a name of 1 to 200 characters.
people-zone-invalid = Enter a time zone such as Europe/Paris.
people-password-empty = Enter your password.
people-password-short = Choose at least 12 characters.
people-password-long = Choose a shorter password.
people-password-common = This is a common password or a simple pattern. Choose another one.
people-password-personal = Do not build the password from your name or e-mail address.
people-too-many = Too many attempts. Try again { $when }, use a device that you have signed in from before, or ask for a new password.

people-sign-in-title = Sign in
people-sign-in-refused = E-mail address or password are not right.
people-sign-in = Sign in
people-forgot = Forgotten your password?
people-passkey = Sign in with a passkey
people-passkey-refused = The passkey was not accepted. Try again, or use your password.
people-passkey-failed = Your browser did not give out a passkey.
people-code-title = Second step
people-code-lead = Enter the code that your authenticator app shows now, or one of your recovery codes.
people-code = Code
people-code-refused = This code is not right, or was used already.
people-continue = Continue
people-start-over = Start over

people-welcome-title = Create the first account
people-welcome-lead = You become the administrator of this platform and of its first business. This page opens once.
people-welcome-waiting = You become administrator of { $business }.
people-create-account = Create the account

people-reset-title = Choose a new password
people-reset-lead = We send a link to your address. It is good once, for 15 minutes.
people-reset-send = Send the link
people-reset-sent = If this address has an account, a link is on its way to it. Look into your mailbox, the spam folder too.
people-reset-files = No mail server is set here: mails are written to the folder of the server's data, where its operator finds them.
people-reset-choose = Save the new password
people-back-to-sign-in = Back to sign-in

people-invitation-title = Invitation to { $business }
people-invitation-platform-title = Invitation to administer this platform
people-invitation-lead = { $email } is invited to { $business } as: { $role }.
people-invitation-platform-lead = { $email } is invited to administer this platform.
people-invitation-accept = Accept the invitation
people-invitation-sign-in = This address has an account already. Sign in with it, and you come back to this invitation.
people-invitation-other = You are signed in with another account. Sign out, then open the link of the invitation again.

people-keys-page = The first keys
people-keys-copy = Copy: { $what }
people-keys-title = The first keys of { $business }
people-keys-lead = These values are shown now. Store those that are shown once in your secret manager before you go on.
people-keys-once = Shown once: it cannot be read again.
people-keys-again = Can be read again under Developers.
people-keys-value = Key value
people-keys-header = Authorization (HTTP header)
people-keys-id = Business ID
people-keys-call = Verify the key now
people-keys-stored = I have stored the keys: go on
people-key-secret = Secret key
people-key-checkout = Checkout key

flash-welcome = Welcome. You are the administrator of { $name }.
flash-joined = You are now a member of { $name }.
flash-signed-out = You are signed out.
flash-sign-in-again = This step took too long, or too many codes were wrong. Sign in again.
flash-password-changed = Your password was changed, and all other sessions were ended.
flash-password-reset = Your password was changed. Sign in with it and your second factor.
