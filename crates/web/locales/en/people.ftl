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
people-reset-too-many = Too many links were asked for from your network. Try again { $when }.

people-sign-in-title = Sign in
people-sign-in-unsent = Your session has ended: what you have just sent was not done. After signing in, enter and send it again.
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
people-keys-title = The first keys of { $business }
people-keys-lead = These values are shown now. Store those that are shown once in your secret manager before you go on.
people-keys-once = Shown once: it cannot be read again.
people-keys-again = Can be read again under Developers.
people-keys-id = Business ID
people-keys-copy-call = Copy this call
people-keys-stored = I have stored the keys
people-key-secret = Secret key
people-key-checkout = Checkout key

flash-welcome = Welcome. You are the administrator of { $name }.
flash-joined = You are now a member of { $name }.
flash-signed-out = You are signed out.
flash-sign-in-again = This step took too long, or too many codes were wrong. Sign in again.
flash-password-changed = Your password was changed, and all other sessions were ended.
flash-password-reset = Your password was changed. Sign in with it and your authenticator app.

people-save = Save
people-cancel = Cancel
people-remove = Remove

account-title = Account
account-profile = Name and language
account-password-lead = All your other sessions end when you change it.
account-password-current = Current password
account-password-change = Change the password
account-password-wrong = The current password is not right.
account-totp = Authenticator app
account-totp-on = Signing in asks for a code of your app. { $count ->
    [one] { $count } recovery code is left.
   *[other] { $count } recovery codes are left.
}
account-totp-off = Add an authenticator app: signing in then asks for its code after the password.
account-totp-add = Add an authenticator app
account-totp-remove = Remove the app
account-totp-remove-question = Remove the authenticator app?
account-totp-remove-consequence = Signing in asks for the password alone then, and your recovery codes end.
account-totp-remove-code = Code of the app, or a recovery code
account-totp-lead = Scan the code with your app, or type the secret into it. Then enter the code that the app shows.
account-totp-qr = QR code for the authenticator app; the secret stands beneath it
account-totp-secret = Secret
account-totp-copy = Copy the secret
account-totp-code = Code of the app
account-codes = Recovery codes
account-codes-lead = Store these codes now: they are shown once. Each one signs you in once if you do not have your app at hand.
account-codes-copy = Copy the recovery codes
account-codes-stored = I have stored the codes
account-codes-replace = Make new recovery codes
account-codes-question = Make new recovery codes?
account-codes-consequence = The codes that you have now end at once. The new ones are shown once: have a place ready to store them.
account-passkeys = Passkeys
account-passkeys-lead = Sign in with your fingerprint, your face or the lock of your device, without a password. The password goes on opening the account by itself, unless an authenticator app is asked after it.
account-passkeys-not-offered = Passkeys need a host name and HTTPS. They are not offered at this address.
account-passkey-name = Name of the new passkey
account-passkey-name-invalid = Enter a name of 1 to 50 characters for the passkey.
account-passkey-remove-title = Remove a passkey
account-passkey-remove-question = Remove the passkey { $name }?
account-passkey-remove-consequence = Nobody signs in with it any more. Your other ways of signing in stay as they are.
account-passkey-add = Add a passkey
account-passkey-failed = Your browser did not make a passkey.
account-passkey-script = Adding a passkey needs JavaScript, because only a script can ask your device for one.
account-added = added
account-used = last used
account-never-used = never used
account-sessions = Sessions
account-sessions-lead = Where you are signed in. A session ends two hours after its last use, and after two weeks in any case.
account-this-session = this one
account-unknown-browser = Unknown browser
account-began = signed in
account-seen = last seen
account-session-end = Sign out
account-session-title = Sign out a session?
account-session-question = Sign out { $session }?
account-session-consequence = That session ends now. What is being typed there is lost.
account-sessions-end = Sign out everywhere else
account-sessions-question = Sign out everywhere else?
account-sessions-consequence = { $count ->
    [one] { $count } other session ends now. What is being typed there is lost.
   *[other] { $count } other sessions end now. What is being typed there is lost.
}
account-notices = Notices
account-notices-lead = Choose for each business what you are told by mail.

businesses-none = You are no member of a business
businesses-none-next = Ask an administrator of your business for an invitation.

settings-profile = Profile
logo-title = Logo
logo-lead = Shown beside the name of the business, to its members and to whoever pays.
logo-now = The present logo
logo-remove = Remove the logo
logo-file = Picture
logo-hint = PNG, JPEG or WebP, at most 256 KiB, from 16 to 2,048 pixels on each side. A square one looks best.
logo-save = Use this logo
logo-empty = Choose a picture first.
logo-too-large = The file is too large: { $kib } KiB at most.
logo-format = This file is no PNG, JPEG or WebP picture.
logo-pixels = Each side must have { $fewest } to { $most } pixels.
settings-administrators = Administrators of the business can change this.

members-lead = Administrators manage people. Administrators and developers see and manage keys.
members-count = { $count ->
    [one] { $count } member
   *[other] { $count } members
}
members-you = you
members-since = member since
members-seen = last seen
members-not-signed-in = not signed in now
members-second-factor = second factor
members-no-second-factor = no second factor
members-last = The last administrator can be neither removed nor demoted: make somebody else an administrator first.
members-role = Role
members-role-of = Role of { $name }
members-role-invalid = Choose a role.
members-change-role = Change role
members-invitations = Open invitations
members-ends = ends
members-ended = ended
members-revoke = Take back the invitation
members-revoke-title = Take back an invitation
members-revoke-question = Take back the invitation of { $email }?
members-revoke-consequence = The link that { $email } got by mail leads nowhere any more.
members-invite = Invite somebody
members-send = Send the invitation
members-already = This person is a member already.
members-about-administrator = manages people, keys and settings
members-about-developer = manages keys, reads logs and usage
members-about-analyst = sees figures, nothing of keys
members-remove-title = Remove a member
members-remove-question = Remove { $name }?
members-remove-consequence = { $name } sees nothing of { $business } any more, and all sessions of this account end now. Keys stay as they are.

notices-lead = Mails to { $email } about this business.
notices-when = Tell me when
notices-none = There is nothing that your role is told of.
notice-live-key-created = a LIVE key is created
notice-live-key-widened = a LIVE key can do more than before
notice-live-key-rotated = a LIVE key gets a new value
notice-live-key-revealed = the value of a LIVE key is read
notice-live-key-revoked = a LIVE key is revoked
notice-member-added = a member is added
notice-key-ending = a key is about to end (14, 7 and 1 days before)
notice-new-network = a key is used from a new network
notice-webhook-disabled = a webhook endpoint is disabled because its receiver fails

flash-account-saved = Your account was changed.
flash-codes-shown = These recovery codes were shown already, and are shown once. If you have not stored them, make new ones.
flash-totp-removed = The authenticator app was removed.
flash-passkey-removed = The passkey was removed.
flash-session-ended = The session was ended.
flash-sessions-ended = All other sessions were ended.
flash-business-saved = { $name } was changed.
flash-logo-saved = The logo was saved.
flash-logo-removed = The logo was removed.
flash-invited = { $name } was invited.
flash-role-changed = The role of { $name } was changed. Their sessions were ended.
flash-member-removed = { $name } was removed.
flash-invitation-revoked = The invitation was taken back.
flash-notices-saved = Your choice was saved.
