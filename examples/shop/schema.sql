-- The shop's own tables. Safe to run again, and for two at once.
SELECT pg_advisory_xact_lock(hashtext('shop'));

CREATE SCHEMA IF NOT EXISTS shop;

CREATE TABLE IF NOT EXISTS shop.product (
    name text PRIMARY KEY,
    price numeric NOT NULL CHECK (price >= 0),
    stock integer NOT NULL CHECK (stock >= 0)
);

CREATE TABLE IF NOT EXISTS shop.orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    email text NOT NULL,
    product text NOT NULL REFERENCES shop.product,
    quantity integer NOT NULL CHECK (quantity > 0),
    total numeric NOT NULL,
    placed_at timestamptz NOT NULL DEFAULT now(),
    request text UNIQUE,
    job text,
    confirmed_at timestamptz
);
COMMENT ON COLUMN shop.orders.request IS 'the Idempotency-Key of the request that placed it';
COMMENT ON COLUMN shop.orders.job IS 'the job that confirms it by mail; null until it is enqueued';
CREATE INDEX IF NOT EXISTS orders_placed_at ON shop.orders (placed_at);

CREATE TABLE IF NOT EXISTS shop.invoice (
    number bigint PRIMARY KEY,
    order_id bigint NOT NULL UNIQUE REFERENCES shop.orders
);
COMMENT ON TABLE shop.invoice IS 'numbers without a gap, so they are given one after the other';

CREATE TABLE IF NOT EXISTS shop.picture (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    original bytea NOT NULL,
    thumbnail bytea,
    job text
);

CREATE TABLE IF NOT EXISTS shop.pricelist (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    content bytea NOT NULL,
    done integer NOT NULL DEFAULT 0,
    job text
);
COMMENT ON COLUMN shop.pricelist.done IS 'rows that are in shop.product: an import that runs again goes on there';

CREATE TABLE IF NOT EXISTS shop.report (
    until timestamptz PRIMARY KEY,
    orders bigint NOT NULL,
    turnover numeric NOT NULL
);

INSERT INTO shop.product (name, price, stock)
VALUES ('apple cake', 24.00, 1000000), ('birch tea', 3.20, 1000000), ('chestnut honey', 8.75, 1000000)
ON CONFLICT DO NOTHING;
