-- When an invoice was last mailed to its customer, and when it is next looked at for a reminder; never, where none is
-- left, or where the customer never got it. `reminded` is the latest reminder that went out or was passed over.
ALTER TABLE invoices ADD COLUMN sent_at BIGINT;
ALTER TABLE invoices ADD COLUMN remind_at BIGINT;

CREATE INDEX invoices_remind ON invoices (remind_at, id)
    WHERE remind_at IS NOT NULL AND paid_at IS NULL AND voided_at IS NULL AND deleted_at IS NULL;

-- Invoices that were mailed of late, so that no key fills a mailbox. Kept for as long as the limits look back.
CREATE TABLE invoice_mails (
    -- The id of the mail.
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    business_id TEXT COLLATE "C" NOT NULL REFERENCES businesses (id),
    environment TEXT COLLATE "C" NOT NULL CHECK (environment IN ('test', 'live')),
    invoice_id TEXT COLLATE "C" NOT NULL REFERENCES invoices (id),
    recipient TEXT COLLATE "C" NOT NULL,
    at BIGINT NOT NULL
);

CREATE INDEX invoice_mails_recipient ON invoice_mails (business_id, environment, recipient, at);
CREATE INDEX invoice_mails_at ON invoice_mails (at);
