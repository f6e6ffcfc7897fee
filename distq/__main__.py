from distq.cli import main

if __name__ == "__main__":
    main()
